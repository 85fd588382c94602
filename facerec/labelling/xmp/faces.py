"""The faces that an XMP document names: regions as the Metadata Working Group and as Microsoft define them.

Regions mean the picture as it is stored: "Region metadata is applied to the stored image. When applying a rotation by
applying Exif Orientation, the rotation must be applied to the regions as well" (Metadata Working Group, Guidelines for
Handling Image Metadata 2.0, 5.9). digiKam turns them so (`TagRegion::adjustToOrientation`), and so does immich. The one
exception is a document that says otherwise: its `AppliedToDimensions` are those of the upright picture.
"""

import hashlib
from collections.abc import Iterator
from math import nan
from typing import NamedTuple, Self

from facerec.labelling.xmp.areas import Area, stored_size
from facerec.labelling.xmp.document import Element, XmpDocument, field, items, text

REGIONS = "mwg-rs:Regions"
REGION_LIST, DIMENSIONS = "mwg-rs:RegionList", "mwg-rs:AppliedToDimensions"
EXTENSIONS = "mwg-rs:Extensions"
FACE = "Face"
MARK = "facerec:labelled"
"""The field in the extensions of our own regions. It holds the digest of the region's name and area: programs that
change or reorder regions may leave the field where it was, and what they changed is theirs."""


class NamedArea(NamedTuple):
    """A face that is named."""

    name: str
    area: Area
    """In the upright picture."""

    @classmethod
    def checked(cls, name: str, stored: Area, orientation: int) -> Iterator[Self]:
        """The face of an area in the stored picture, or none if it has no name or no part in the picture."""
        if name and (inside := stored.clipped()):
            yield cls(name, inside.upright(orientation))


class View(NamedTuple):
    """How a picture is shown."""

    size: tuple[int, int]
    """Width and height of the upright picture in pixels."""
    orientation: int
    """EXIF orientation, 1 to 8."""


def named_areas(document: XmpDocument, view: View) -> list[NamedArea]:
    """The faces that people or other programs have named. Our own regions are left out, and so are areas without sense.

    Where a document has both kinds of regions, as digiKam writes them, they are the same.
    """
    return _mwg_areas(document, view) or _microsoft_areas(document, view)


def regions_orientation(document: XmpDocument, view: View) -> int:
    """The orientation that turns the document's MWG regions upright."""
    dimensions = field(document.find(REGIONS), DIMENSIONS)
    applied = tuple(text(field(dimensions, name)) for name in ("stDim:w", "stDim:h"))
    is_upright = applied == tuple(map(str, view.size)) and view.size != stored_size(view.size, view.orientation)
    return 1 if is_upright else view.orientation


def region_list(document: XmpDocument) -> list[Element]:
    """The elements of all MWG regions."""
    return items(field(document.find(REGIONS), REGION_LIST))


def mark_of(region: Element) -> str:
    """What the mark of a region is if it is ours and nobody has changed it: 16 hexadecimal digits."""
    area = field(region, "mwg-rs:Area")
    values = [text(field(region, "mwg-rs:Name")), *(text(field(area, f"stArea:{name}")) for name in "xywh")]
    return hashlib.sha256("\n".join(values).encode()).hexdigest()[:16]


def is_ours(region: Element) -> bool:
    """Whether we wrote the region, and it is as we wrote it."""
    mark = text(field(field(region, EXTENSIONS), MARK))
    return bool(mark) and mark == mark_of(region)


def _mwg_areas(document: XmpDocument, view: View) -> list[NamedArea]:
    """The MWG regions of faces. `Area` gives the centre and the sides (guidelines, 5.9)."""
    orientation = regions_orientation(document, view)
    found: list[NamedArea] = []
    for region in region_list(document):
        if text(field(region, "mwg-rs:Type")) in {FACE, ""} and not is_ours(region):
            area = field(region, "mwg-rs:Area")
            x, y, width, height = (_number(text(field(area, f"stArea:{name}"))) for name in "xywh")
            stored = Area(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            found += NamedArea.checked(text(field(region, "mwg-rs:Name")), stored, orientation)
    return found


def _microsoft_areas(document: XmpDocument, view: View) -> list[NamedArea]:
    """The regions of Windows Live Photo Gallery: left, top, width and height (Microsoft, People Tagging Overview)."""
    found: list[NamedArea] = []
    for region in items(field(document.find("MP:RegionInfo"), "MPRI:Regions")):
        numbers = [_number(part) for part in text(field(region, "MPReg:Rectangle")).split(",")]
        if len(numbers) == 4:
            left, top, width, height = numbers
            stored = Area(left, top, left + width, top + height)
            found += NamedArea.checked(text(field(region, "MPReg:PersonDisplayName")), stored, view.orientation)
    return found


def _number(value: str) -> float:
    """The number in a text, or not a number."""
    try:
        return float(value)
    except ValueError:
        return nan
