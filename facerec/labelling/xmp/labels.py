"""The regions and keywords that we add to an XMP document, with the records that say which they are."""

from typing import NamedTuple

from lxml import etree

from facerec.labelling.xmp.areas import Area, Region, stored_size
from facerec.labelling.xmp.document import (
    WRITTEN_NAMESPACES,
    Element,
    XmpDocument,
    append,
    array_in,
    field,
    items,
    qualified,
    remove,
    text,
)
from facerec.labelling.xmp.errors import XmpNameNotAllowed, XmpNotUnderstood
from facerec.labelling.xmp.faces import (
    DIMENSIONS,
    EXTENSIONS,
    FACE,
    MARK,
    REGION_LIST,
    REGIONS,
    View,
    is_ours,
    mark_of,
    region_list,
    regions_orientation,
)


class _Keyword(NamedTuple):
    """A property that lists keywords, as digiKam writes the people in a photo."""

    name: str
    array: str
    prefix: str
    """What stands before a name. Its last character divides levels."""
    substitute: str
    """What a name has in place of that character: one that looks like it."""

    @property
    def record(self) -> str:
        """The property with the keywords that we added."""
        return f"facerec:{self.name.partition(':')[2]}"

    def value(self, person: str) -> str:
        """The keyword of a person."""
        return self.prefix + (person.replace(self.prefix[-1], self.substitute) if self.prefix else person)


_KEYWORDS = (
    _Keyword("digiKam:TagsList", "rdf:Seq", "People/", "\N{DIVISION SLASH}"),
    _Keyword("lr:hierarchicalSubject", "rdf:Bag", "People|", "\N{DIVIDES}"),
    _Keyword("dc:subject", "rdf:Bag", "", ""),
)
_CREATED = "facerec:created"
"""The record of what a sidecar that we made began with, as the caller of `put_in` puts it."""
_MADE = "facerec:made"
"""The record of the properties and fields that we made. Those that were there stay when nothing is left in them."""
_STRUCT = {qualified("rdf:parseType"): "Resource"}
"""The attribute of an element whose children are fields."""
_DECIMALS = 9
"""Decimals of a number, less than a thousandth of a pixel in the largest picture. Picasa accepts no more."""
_RECORDS = (_CREATED, _MADE, *(keyword.record for keyword in _KEYWORDS))


def take_out(document: XmpDocument) -> str:
    """Remove our regions, the keywords that we added and all records.

    Returns:
        What `put_in` was told as `created`, or nothing.
    """
    created = text(document.find(_CREATED))
    made = {text(item) for item in items(document.find(_MADE))}
    for region in filter(is_ours, region_list(document)):
        remove(region)
    for keyword in _KEYWORDS:
        added = {text(item) for item in items(document.find(keyword.record))}
        for item in items(document.find(keyword.name)):
            if text(item) in added:
                added.remove(text(item))
                remove(item)
    empty = {keyword.name for keyword in _KEYWORDS if not items(document.find(keyword.name))}
    if not region_list(document):
        empty.add(REGIONS)
        regions = field(document.find(REGIONS), REGION_LIST)
        if REGION_LIST in made and isinstance(regions, Element):
            remove(regions)
    document.remove_properties(*made & empty, *_RECORDS)
    return created


def put_in(document: XmpDocument, regions: list[Region], view: View, created: str) -> None:
    """Add regions, the keywords of their people, and records. The document has none of ours.

    Args:
        document: changed in place, and in part where an error is raised.
        regions: at least one.
        view: of the photo.
        created: for a sidecar that we make, what `take_out` is to return.

    Raises:
        XmpNameNotAllowed: a name has a character that XML can't hold.
        XmpNotUnderstood: the document has regions or keywords in a form that XMP does not give them.
    """
    ours = document.new_description()
    made: list[str] = []
    orientation = regions_orientation(document, view)
    try:
        elements = [_region(region, view.size, orientation) for region in regions]
    except ValueError:  # lxml refuses the name
        raise XmpNameNotAllowed(document.path) from None
    for keyword in _KEYWORDS:
        values = dict.fromkeys(keyword.value(region.name) for region in regions)
        existing = {text(item) for item in items(document.find(keyword.name))}
        if added := [value for value in values if value not in existing]:
            array = _array(document, keyword.name, keyword.array, ours, made)
            record = _new_array(ours, keyword.record, "rdf:Bag")
            for value in added:
                _add_item(array, value)
                _add_item(record, value)
    array = _region_array(document, stored_size(view.size, view.orientation), ours, made)
    for element in elements:
        append(array, element)
    if created:
        _fill(ours, {_CREATED: created})
    if made:
        record = _new_array(ours, _MADE, "rdf:Bag")
        for name in made:
            _add_item(record, name)
    append(document.rdf, ours)


def _array(document: XmpDocument, name: str, kind: str, ours: Element, made: list[str]) -> Element:
    """The list of a property, made in our own description where the document has none.

    Raises:
        XmpNotUnderstood: the property holds no list.
    """
    value = document.find(name)
    if value is None:
        made.append(name)
        return _new_array(ours, name, kind)
    array = array_in(value)
    if array is None:
        raise XmpNotUnderstood(document.path)
    return array


def _region_array(document: XmpDocument, size: tuple[int, int], ours: Element, made: list[str]) -> Element:
    """The list of the regions, made where there is none. `size` is that of the stored picture.

    Raises:
        XmpNotUnderstood: the property holds no structure with a list.
    """
    regions = document.find(REGIONS)
    if regions is None:
        made.append(REGIONS)
        regions = _new_struct(ours, REGIONS)
        _fill(
            _new_struct(regions, DIMENSIONS), {"stDim:w": str(size[0]), "stDim:h": str(size[1]), "stDim:unit": "pixel"}
        )
        return _new_array(regions, REGION_LIST, "rdf:Bag")
    if isinstance(regions, Element) and field(regions, REGION_LIST) is None:
        nested = regions.find(qualified("rdf:Description"))
        struct = regions if regions.items() == list(_STRUCT.items()) else nested
        if struct is not None:
            made.append(REGION_LIST)
            return _new_array(struct, REGION_LIST, "rdf:Bag")
    array = array_in(field(regions, REGION_LIST))
    if array is None:
        raise XmpNotUnderstood(document.path)
    return array


def _region(region: Region, size: tuple[int, int], orientation: int) -> Element:
    """A region as the guidelines define it, 5.9, with our mark in its extensions."""
    area = Area.of(region, size).stored(orientation)
    element = etree.Element(qualified("rdf:li"), _STRUCT, nsmap=WRITTEN_NAMESPACES)
    _fill(element, {"mwg-rs:Name": region.name, "mwg-rs:Type": FACE})
    numbers = {
        "stArea:x": (area.left + area.right) / 2,
        "stArea:y": (area.top + area.bottom) / 2,
        "stArea:w": area.right - area.left,
        "stArea:h": area.bottom - area.top,
    }
    values = {name: f"{number:.{_DECIMALS}f}" for name, number in numbers.items()}
    _fill(_new_struct(element, "mwg-rs:Area"), values | {"stArea:unit": "normalized"})
    _fill(_new_struct(element, EXTENSIONS), {MARK: mark_of(element)})
    return element


def _new_struct(parent: Element, name: str) -> Element:
    """A new property or field that holds a structure."""
    element = etree.Element(qualified(name), _STRUCT)
    append(parent, element)
    return element


def _new_array(parent: Element, name: str, kind: str) -> Element:
    """The list in a new property or field."""
    element = etree.Element(qualified(name))
    array = etree.SubElement(element, qualified(kind))
    append(parent, element)
    return array


def _fill(struct: Element, values: dict[str, str]) -> None:
    """Give a new structure fields."""
    for name, value in values.items():
        etree.SubElement(struct, qualified(name)).text = value


def _add_item(array: Element, value: str) -> None:
    """Add a text to a list."""
    item = etree.Element(qualified("rdf:li"))
    item.text = value
    append(array, item)
