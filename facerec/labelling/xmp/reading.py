"""The names that people have already given to the faces of a photo."""

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from facerec.labelling.xmp.areas import Region
from facerec.labelling.xmp.document import MAX_XMP_BYTES, XmpDocument
from facerec.labelling.xmp.errors import XmpNotReadable
from facerec.labelling.xmp.faces import NamedArea, View, named_areas
from facerec.labelling.xmp.files import File
from facerec.labelling.xmp.picasa import picasa_areas
from facerec.pictures.containers import read_container, read_xmp
from facerec.pictures.errors import UnsupportedPicture

SIDECAR_SUFFIX = ".xmp"
"""What follows a photo's name in that of its sidecar."""

_MAX_PHOTO_BYTES = 1 << 30
"""Bytes of a photo. It is read whole, as it is for recognition."""


class PhotoMetadata(NamedTuple):
    """What a photo's file says of the photo. No pixel is decoded."""

    orientation: int
    """EXIF orientation, 1 to 8. That of a HEIC or AVIF is 1, as its decoders turn it upright."""
    packets: list[bytes]
    """XMP, not parsed: none, one packet, or one and its extension."""


def sidecar_of(photo: Path) -> Path:
    """The sidecar that belongs to a photo: `photo.jpg.xmp`, as digiKam and darktable name it."""
    return photo.with_name(photo.name + SIDECAR_SUFFIX)


def shorter_sidecar_of(photo: Path) -> Path:
    """The sidecar that other programs write, and that all files `photo.*` share: `photo.xmp`."""
    return photo.with_suffix(SIDECAR_SUFFIX)


def read_metadata(photo: Path) -> PhotoMetadata:
    """Read the orientation and the XMP of a photo.

    Raises:
        XmpError: the file can't be read.
        UnsupportedPicture: it is not a picture, or damaged.
    """
    data = File(photo, max_bytes=_MAX_PHOTO_BYTES, follow_links=True).content
    if data is None:
        raise XmpNotReadable(photo)
    try:
        return PhotoMetadata(read_container(data).orientation, read_xmp(data))
    except (struct.error, IndexError, KeyError, ValueError):
        raise UnsupportedPicture from None


def named_regions(photo: Path, size: tuple[int, int]) -> list[Region]:
    """The faces that people or other programs have named, from the first of these that names any: `photo.jpg.xmp`,
    `photo.xmp`, the XMP in the photo, and Picasa's `.picasa.ini`.

    Regions that we wrote are left out. The names are as they were written, so `canonical_name` may refuse them.

    Args:
        photo: a file. Links are followed.
        size: width and height of the upright picture in pixels.

    Raises:
        XmpError: a file can't be read, or is not XMP.
        UnsupportedPicture: the photo is not a picture, or damaged.
    """
    metadata = read_metadata(photo)
    view = View(size, metadata.orientation)
    sources: list[Callable[[], list[NamedArea]]] = [
        partial(_read_sidecar, sidecar_of(photo), view),
        *other_sources_of_names(photo, metadata.packets, view),
    ]
    found = next(filter(None, (read() for read in sources)), [])
    return [area.region(name, size) for name, area in found]


def other_sources_of_names(photo: Path, packets: list[bytes], view: View) -> list[Callable[[], list[NamedArea]]]:
    """Functions that each read the faces that others have named from one place other than the photo's own sidecar, in
    the order of `named_regions`.

    Each raises XmpError if its file can't be read, or is not XMP.

    Args:
        photo: the file.
        packets: the XMP in it, see `PhotoMetadata`.
        view: how the photo is shown.
    """
    return [
        partial(_read_sidecar, shorter_sidecar_of(photo), view),
        lambda: named_areas(XmpDocument.embedded(packets, photo), view),
        partial(picasa_areas, photo, view.orientation),
    ]


def _read_sidecar(path: Path, view: View) -> list[NamedArea]:
    content = File(path, max_bytes=MAX_XMP_BYTES).content
    return [] if content is None else named_areas(XmpDocument(content, path), view)
