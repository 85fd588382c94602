"""Photos and sidecars for tests."""

from pathlib import Path

from hypothesis import strategies as st
from lxml import etree
from PIL import ExifTags, Image

from facerec.labelling.xmp.document import NAMESPACES

DECLARATIONS = " ".join(
    f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items() if prefix not in {"rdf", "facerec"}
)

XML_TEXT = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufffe\uffff"), min_size=1, max_size=20
).filter(lambda name: name == " ".join(name.split()) and name != "")
"""Names, as XML can hold them."""
BOXES = st.builds(
    lambda left, top, width, height: (left, top, min(width, 400 - left), min(height, 300 - top)),
    *(st.integers(0, 399), st.integers(0, 299), st.integers(1, 400), st.integers(1, 300)),
)
"""Left, top, width and height in a picture of 400 x 300 pixels."""


def photo(folder: Path, size: tuple[int, int] = (400, 300), orientation: int = 1, xmp: bytes = b"") -> Path:
    """A grey JPEG. `size` is that of the stored picture."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = folder / "photo.jpg"
    Image.new("RGB", size, "grey").save(path, exif=exif, xmp=xmp)
    return path


def sidecar(*properties: str) -> bytes:
    """A sidecar with one description."""
    content = "\n  ".join(properties)
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" {DECLARATIONS} xmp:Rating="3">
  {content}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
""".encode()


def regions(*named: str, dimensions: tuple[int, int] | None = (400, 300)) -> str:
    """The property with the regions, each made by `region`."""
    width, height = dimensions or (0, 0)
    applied = (
        f'<mwg-rs:AppliedToDimensions stDim:w="{width}" stDim:h="{height}" stDim:unit="pixel"/>' if dimensions else ""
    )
    return (
        f'<mwg-rs:Regions rdf:parseType="Resource">{applied}'
        f"<mwg-rs:RegionList><rdf:Bag>{''.join(named)}</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
    )


def region(name: str, x: object, y: object, width: object, height: object, kind: str = "Face") -> str:
    """A region, with the numbers or texts of its centre and sides."""
    return (
        f'<rdf:li rdf:parseType="Resource"><mwg-rs:Name>{name}</mwg-rs:Name><mwg-rs:Type>{kind}</mwg-rs:Type>'
        f'<mwg-rs:Area stArea:x="{x}" stArea:y="{y}" stArea:w="{width}" stArea:h="{height}" stArea:unit="normalized"/>'
        "</rdf:li>"
    )


def canonical(data: bytes) -> bytes:
    """The canonical form of XML, with comments: two files with the same say the same."""
    tree = etree.ElementTree(etree.fromstring(data, etree.XMLParser(resolve_entities=False)))
    return etree.tostring(tree, method="c14n", with_comments=True)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """The content of every regular file in a folder, and the names of the others."""
    return {
        path.name: path.read_bytes() if path.is_file() and not path.is_symlink() else None for path in folder.iterdir()
    }
