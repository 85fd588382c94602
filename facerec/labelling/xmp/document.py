"""XMP documents: RDF in XML (ISO 16684-1), parsed as untrusted input and changed without losing what others wrote.

lxml keeps comments, processing instructions, prefixes and the order of everything. The parser of Python's standard
library, and with it defusedxml, loses the first three.
"""

import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Self

from lxml import etree

from facerec.labelling.xmp.errors import XmpDamaged, XmpWithDoctype

Element = etree._Element
Value = Element | str | None
"""A property or field: an element, the text of an attribute, or nothing."""

MAX_XMP_BYTES = 8 << 20
"""Bytes of a document. Sidecars have some kilobytes, with a long history of edits a megabyte."""

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "facerec": "urn:facerec:labels:1.0/",
}
WRITTEN_NAMESPACES = {
    prefix: NAMESPACES[prefix] for prefix in ("rdf", "dc", "lr", "digiKam", "mwg-rs", "stArea", "stDim", "facerec")
}
_EMPTY = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


@cache
def qualified(name: str) -> str:
    """The name of an element or attribute as lxml writes it, for `prefix:name`."""
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


_ARRAYS = frozenset(map(qualified, ("rdf:Bag", "rdf:Seq", "rdf:Alt")))


class XmpDocument:
    """An XMP document.

    Attributes:
        rdf: the element that holds the descriptions, which hold the properties.
        path: of the file that the document is from, for errors.
    """

    def __init__(self, data: bytes, path: Path) -> None:
        """Parse a sidecar or a packet.

        Raises:
            XmpDamaged: not XML, or without RDF.
            XmpWithDoctype: it has a DOCTYPE.
        """
        self.path = path
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, strip_cdata=False)
        try:
            self._tree = etree.ElementTree(etree.fromstring(data, parser))
        except (etree.XMLSyntaxError, ValueError):
            raise XmpDamaged(path) from None
        if self._tree.docinfo.internalDTD is not None:  # without one, an entity is a syntax error
            raise XmpWithDoctype(path)
        rdf = next(self._tree.getroot().iter(qualified("rdf:RDF")), None)
        if rdf is None:
            raise XmpDamaged(path)
        self.rdf = rdf
        self._declared = data[:200].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe").startswith(b"<?xml")

    @classmethod
    def embedded(cls, packets: list[bytes], path: Path) -> Self:
        """The document in a photo, or an empty one if there are no `packets`.

        The properties of a packet's extension become its own (Adobe, XMP Specification Part 3, 1.1.3.1).

        Raises:
            XmpDamaged: not XML, or without RDF.
            XmpWithDoctype: it has a DOCTYPE.
        """
        document, *extensions = (cls(packet.rstrip(b"\0"), path) for packet in packets or [_EMPTY])
        for extension in extensions:
            document.rdf.extend(list(extension.rdf))
        document.remove_properties("xmpNote:HasExtendedXMP")
        return document

    def to_bytes(self) -> bytes:
        """The document as a file, in the encoding that it had."""
        encoding = self._tree.docinfo.encoding or "UTF-8"
        return etree.tostring(self._tree, encoding=encoding, xml_declaration=self._declared or encoding != "UTF-8")

    def descriptions(self) -> Iterator[Element]:
        """The elements that hold the properties."""
        return self.rdf.iterchildren(qualified("rdf:Description"))

    def is_empty(self) -> bool:
        """Whether the document has no properties."""
        return all(child.tag == qualified("rdf:Description") and _is_empty(child) for child in self.rdf)

    def find(self, name: str) -> Value:
        """A property."""
        values = (field(description, name) for description in self.descriptions())
        return next((value for value in values if value is not None), None)

    def remove_properties(self, *names: str) -> None:
        """Remove properties, and the descriptions that have nothing else."""
        tags = {qualified(name) for name in names}
        for description in list(self.descriptions()):
            found = [child for child in description if child.tag in tags]
            attributes = tags & set(description.attrib)
            for child in found:
                remove(child)
            for attribute in attributes:
                del description.attrib[attribute]
            if (found or attributes) and _is_empty(description):
                remove(description)

    def new_description(self) -> Element:
        """An empty description of what the others describe. It is not yet part of the document."""
        first = next(self.descriptions(), None)
        about = "" if first is None else first.get(qualified("rdf:about"), "")
        return etree.Element(qualified("rdf:Description"), {qualified("rdf:about"): about}, nsmap=WRITTEN_NAMESPACES)


def _is_empty(description: Element) -> bool:
    return not len(description) and set(description.attrib) <= {qualified("rdf:about")}


def field(struct: Value, name: str) -> Value:
    """A field of a structure, in any of the forms that RDF has: a child or an attribute, of the structure's element or
    of a description in it (ISO 16684-1, 7.5 and 7.9.2).
    """
    if not isinstance(struct, Element):
        return None
    tag = qualified(name)
    for holder in itertools.chain((struct,), struct.iterchildren(qualified("rdf:Description"))):
        attribute = holder.get(tag)
        child = holder.find(tag)
        if attribute is not None or child is not None:
            return child if attribute is None else attribute
    return None


def array_in(value: Value) -> Element | None:
    """The list that a property or field holds: an `rdf:Bag`, `rdf:Seq` or `rdf:Alt`."""
    children = value if isinstance(value, Element) else ()
    return next((child for child in children if child.tag in _ARRAYS), None)


def items(value: Value) -> list[Element]:
    """The items of the list that a property or field holds, none where it holds no list."""
    array = array_in(value)
    return [] if array is None else array.findall(qualified("rdf:li"))


def text(value: Value) -> str:
    """The text of a property or field without the spaces around it, empty where there is none."""
    if isinstance(value, Element):
        value = "".join(value.itertext(etree.Element))
    return (value or "").strip()


def append(parent: Element, child: Element) -> None:
    """Add a child at the end, indented as its siblings are. `remove` restores the white space."""
    etree.indent(child, " ", level=sum(1 for _ in parent.iterancestors()) + 1)
    last = parent[-1] if len(parent) else None
    space = None if (parent.text or "").strip() else parent.text
    parent.append(child)
    if last is None:
        child.tail = space
    else:
        child.tail, last.tail = last.tail, space


def remove(element: Element) -> None:
    """Remove an element with the white space before it."""
    previous, parent, tail = element.getprevious(), element.getparent(), element.tail or ""
    assert parent is not None
    before = (parent.text if previous is None else previous.tail) or ""
    parent.remove(element)
    after = before + tail if before.strip() else tail
    if previous is None:
        parent.text = after
    else:
        previous.tail = after
