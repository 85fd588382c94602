"""Sidecars get our regions and keywords, keep what others wrote, and lose exactly ours again."""

import os
import stat
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from facerec.labelling.xmp.areas import Region
from facerec.labelling.xmp.document import NAMESPACES
from facerec.labelling.xmp.errors import (
    XmpChanged,
    XmpDamaged,
    XmpError,
    XmpNameNotAllowed,
    XmpNotAFile,
    XmpNotReadable,
    XmpNotUnderstood,
    XmpNotWritable,
    XmpTooLarge,
    XmpWithDoctype,
)
from facerec.labelling.xmp.files import File
from facerec.labelling.xmp.reading import named_regions, sidecar_of
from facerec.labelling.xmp.writing import label_photo, unlabel_photo
from facerec.pictures.errors import UnsupportedPicture
from tests.labelling.photos import BOXES, XML_TEXT, canonical, photo, region, regions, sidecar, snapshot
from tests.training.small_disk import no_file_larger_than

SIZE = (400, 300)
ANN, BOB = Region("Ann Ö<&>\"'😀", 40, 30, 80, 60), Region("Bob", 200, 150, 80, 60)

FOREIGN = {
    "attributes alone": sidecar(),
    "single quotes": sidecar("<xmp:Label>it's</xmp:Label>").replace(b'"', b"'"),
    "comments and instructions": sidecar("<!-- mine --><?mine too?>", "<xmp:Label>a<!-- b -->c</xmp:Label>"),
    "character data": sidecar("<xmp:Label><![CDATA[<b>&]]></xmp:Label>", "<xmp:Nickname>&#x41;&#13;</xmp:Nickname>"),
    "unknown namespaces": sidecar('<a:b xmlns:a="http://a.example/"><a:c a:d="1"/></a:b>', '<b xmlns="urn:b">1</b>'),
    "our prefixes for others": sidecar('<dc:x xmlns:dc="urn:dc" xmlns:facerec="urn:other" facerec:labelled="1"/>'),
    "keywords": sidecar("<dc:subject><rdf:Bag>\n   <rdf:li>Sea</rdf:li>\n  </rdf:Bag></dc:subject>"),
    "the same keyword": sidecar("<dc:subject><rdf:Seq><rdf:li>Bob</rdf:li><rdf:li>Bob</rdf:li></rdf:Seq></dc:subject>"),
    "empty keywords": sidecar("<dc:subject><rdf:Bag/></dc:subject>", "<digiKam:TagsList><rdf:Seq/></digiKam:TagsList>"),
    "keywords with qualifiers": sidecar(
        "<lr:hierarchicalSubject><rdf:Bag><rdf:li rdf:parseType='Resource'><rdf:value>Sea</rdf:value><xmp:x>1</xmp:x>"
        "</rdf:li></rdf:Bag></lr:hierarchicalSubject>"
    ),
    "regions": sidecar(regions(region("Zoe", 0.9, 0.9, 0.1, 0.1), "<!-- b -->", region("", 0.2, 0.2, 0.2, 0.2))),
    "regions of a focus": sidecar(regions(region("Bob", 0.6, 0.6, 0.2, 0.2, "Focus"))),
    "no list of regions": sidecar('<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:x>1</mwg-rs:x></mwg-rs:Regions>'),
    "empty regions": sidecar('<mwg-rs:Regions rdf:parseType="Resource"/>'),
    "nested descriptions": sidecar(
        "<mwg-rs:Regions><rdf:Description><mwg-rs:RegionList><rdf:Seq>"
        '<rdf:li><rdf:Description mwg-rs:Name="Zoe" mwg-rs:Type="Face"/></rdf:li>'
        "</rdf:Seq></mwg-rs:RegionList></rdf:Description></mwg-rs:Regions>"
    ),
    "stray texts": sidecar(
        "a <xmp:a/> b <dc:subject>c<rdf:Bag>d<rdf:li>Sea</rdf:li>e</rdf:Bag>f</dc:subject> g"
    ).replace(b"</rdf:Description>", b"</rdf:Description>h"),
    "stray texts alone": sidecar("<lr:hierarchicalSubject><rdf:Bag>a</rdf:Bag>b</lr:hierarchicalSubject>"),
    "several descriptions": sidecar('</rdf:Description><rdf:Description rdf:about=""/><rdf:Description rdf:about="">'),
    "about": sidecar().replace(b'rdf:about=""', b'rdf:about="uuid:1"'),
    "no wrapper": (
        f'<rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}"><rdf:Description xmlns:x="urn:x" x:a="1"/></rdf:RDF>'.encode()
    ),
    "nothing": f'<rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}"/>'.encode(),
    "declaration": b'<?xml version="1.0" encoding="UTF-8"?>\n' + sidecar("<xmp:Label>\u00e9</xmp:Label>"),
    "latin-1": b'<?xml version="1.0" encoding="iso-8859-1"?>'
    + sidecar("<xmp:Label>é</xmp:Label>").decode().replace("\ufeff", "").encode("latin-1"),
    "utf-16": sidecar("<xmp:Label>é</xmp:Label>").decode().encode("utf-16"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_others_wrote_is_kept_and_comes_back(case: str, tmp_path: Path) -> None:
    path = photo(tmp_path)
    pixels = path.read_bytes()
    file = sidecar_of(path)
    file.write_bytes(FOREIGN[case])
    file.chmod(0o640)
    foreign = nodes(FOREIGN[case])
    assert label_photo(path, [ANN, BOB], SIZE)
    first = file.read_bytes()
    assert foreign <= nodes(first)
    assert {"Bob", ANN.name, "People/Bob", "People|Bob"} <= texts(first)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert not label_photo(path, [ANN, BOB], SIZE)
    assert label_photo(path, [BOB], SIZE)
    assert ANN.name not in texts(file.read_bytes())
    assert label_photo(path, [ANN, BOB], SIZE)
    assert file.read_bytes() == first
    assert unlabel_photo(path)
    assert canonical(file.read_bytes()) == canonical(FOREIGN[case])
    assert file.read_bytes().startswith(b"<?xml ") == FOREIGN[case].startswith(b"<?xml ")
    assert (b"<![CDATA[" in file.read_bytes()) == (case == "character data")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert not unlabel_photo(path)
    assert path.read_bytes() == pixels
    assert len(snapshot(tmp_path)) == 2


def nodes(data: bytes) -> set[tuple[object, str, tuple[tuple[str, str], ...]]]:
    """The tag, the text without spaces and the attributes of all elements, comments and instructions."""
    return {
        (node.tag, (node.text or "").strip(), tuple(sorted((str(key), str(value)) for key, value in node.items())))
        for node in etree.fromstring(data).iter()
    }


def texts(data: bytes) -> set[str]:
    """The texts of all elements."""
    return {text for _, text, _ in nodes(data)}


def test_a_keyword_that_is_there_is_neither_added_nor_taken_out(tmp_path: Path) -> None:
    path = photo(tmp_path)
    sidecar_of(path).write_bytes(sidecar("<dc:subject><rdf:Bag><rdf:li>Bob</rdf:li></rdf:Bag></dc:subject>"))
    label_photo(path, [BOB], SIZE)
    assert sidecar_of(path).read_bytes().count(b"<rdf:li>Bob</rdf:li>") == 1
    unlabel_photo(path)
    assert sidecar_of(path).read_bytes().count(b"<rdf:li>Bob</rdf:li>") == 1


def test_what_is_added_is_indented_as_its_neighbours(tmp_path: Path) -> None:
    path = photo(tmp_path)
    sidecar_of(path).write_bytes(sidecar("<dc:subject><rdf:Bag>\n   <rdf:li>Sea</rdf:li>\n  </rdf:Bag></dc:subject>"))
    label_photo(path, [BOB], SIZE)
    assert b"\n   <rdf:li>Sea</rdf:li>\n   <rdf:li>Bob</rdf:li>\n  </rdf:Bag>" in sidecar_of(path).read_bytes()


def test_a_new_sidecar_goes_away_again(tmp_path: Path) -> None:
    path = photo(tmp_path)
    before = snapshot(tmp_path)
    assert not unlabel_photo(path)
    assert not label_photo(path, [], SIZE)
    assert not label_photo(path, [BOB._replace(name="")], SIZE)
    assert snapshot(tmp_path) == before
    assert label_photo(path, [ANN, BOB], SIZE)
    assert not label_photo(path, [ANN, BOB], SIZE)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(sidecar_of(path).stat().st_mode) == 0o666 & ~umask
    assert unlabel_photo(path)
    assert snapshot(tmp_path) == before
    assert label_photo(path, [ANN], SIZE)
    assert label_photo(path, [], SIZE), "nobody is recognized any more"
    assert snapshot(tmp_path) == before


def test_a_dry_run_tells_the_same_and_changes_nothing(tmp_path: Path) -> None:
    path = photo(tmp_path)
    empty = snapshot(tmp_path)
    assert label_photo(path, [ANN], SIZE, dry_run=True)
    assert not label_photo(path, [], SIZE, dry_run=True)
    assert snapshot(tmp_path) == empty
    label_photo(path, [ANN], SIZE)
    labelled = snapshot(tmp_path)
    assert not label_photo(path, [ANN], SIZE, dry_run=True)
    assert label_photo(path, [BOB], SIZE, dry_run=True)
    assert unlabel_photo(path, dry_run=True)
    assert snapshot(tmp_path) == labelled


def test_a_new_sidecar_begins_with_the_metadata_of_the_photo(tmp_path: Path) -> None:
    embedded = sidecar("<dc:subject><rdf:Bag><rdf:li>Sea</rdf:li></rdf:Bag></dc:subject>")
    path = photo(tmp_path, xmp=embedded)
    assert not label_photo(path, [], SIZE)
    assert label_photo(path, [BOB], SIZE)
    file = sidecar_of(path)
    assert nodes(embedded) <= nodes(file.read_bytes())
    assert not label_photo(path, [BOB], SIZE)
    file.write_bytes(file.read_bytes().replace(b'xmp:Rating="3"', b'xmp:Rating="5"'))
    assert unlabel_photo(path)
    assert canonical(file.read_bytes()) == canonical(embedded.replace(b'xmp:Rating="3"', b'xmp:Rating="5"'))
    file.unlink()
    label_photo(path, [BOB], SIZE)
    assert unlabel_photo(path)
    assert not file.exists()


def test_damaged_metadata_in_the_photo_is_not_copied(tmp_path: Path) -> None:
    path = photo(tmp_path, xmp=b"<not xmp")
    assert label_photo(path, [BOB], SIZE)
    assert b"not xmp" not in sidecar_of(path).read_bytes()


def test_a_face_that_somebody_named_keeps_its_name(tmp_path: Path) -> None:
    path = photo(tmp_path)
    theirs = sidecar(regions(region("Robert", 0.6, 0.6, 0.3, 0.3)))
    sidecar_of(path).write_bytes(theirs)
    assert not label_photo(path, [BOB], SIZE)
    assert label_photo(path, [ANN, BOB], SIZE)
    assert {"Robert", ANN.name} <= texts(sidecar_of(path).read_bytes())
    assert "Bob" not in texts(sidecar_of(path).read_bytes())


def test_a_face_that_somebody_named_in_the_photo_keeps_its_name(tmp_path: Path) -> None:
    path = photo(tmp_path, xmp=sidecar(regions(region("Robert", 0.6, 0.6, 0.3, 0.3))))
    assert not label_photo(path, [BOB], SIZE)
    assert len(snapshot(tmp_path)) == 1


def test_a_face_that_somebody_named_in_a_shorter_sidecar_or_for_picasa_keeps_its_name(tmp_path: Path) -> None:
    path = photo(tmp_path)
    shorter = tmp_path / "photo.xmp"
    theirs = sidecar(regions(region("Robert", 0.6, 0.6, 0.3, 0.3)))
    shorter.write_bytes(theirs)
    assert not label_photo(path, [BOB], SIZE)
    assert label_photo(path, [ANN, BOB], SIZE)
    new = texts(sidecar_of(path).read_bytes())
    assert {"Robert", ANN.name} <= new, "a new sidecar begins with what it hides"
    assert "Bob" not in new
    assert unlabel_photo(path)
    assert snapshot(tmp_path).keys() == {"photo.jpg", "photo.xmp"}
    assert shorter.read_bytes() == theirs
    (tmp_path / "photo.raw").touch()
    assert label_photo(path, [ANN, BOB], SIZE)
    new = texts(sidecar_of(path).read_bytes())
    assert not {"Robert", "Bob"} & new, "photo.xmp may be that of the raw photo: it names, but is not copied"
    assert unlabel_photo(path)
    shorter.write_bytes(b"<damaged")
    assert label_photo(path, [BOB], SIZE)
    assert unlabel_photo(path)
    shorter.unlink()
    (tmp_path / ".picasa.ini").write_text("[Contacts2]\nab=Robert;;\n[photo.jpg]\nfaces=rect64(7332733280007fff),ab\n")
    named = named_regions(path, SIZE)
    assert [each.name for each in named] == ["Robert"]
    assert not label_photo(path, [named[0]._replace(name="Bob")], SIZE)
    sidecar_of(path).write_bytes(sidecar(regions(region("Zoe", 0.1, 0.1, 0.1, 0.1))))
    assert not label_photo(path, [named[0]._replace(name="Bob")], SIZE), "whatever else is named elsewhere"


def test_a_folder_is_not_listed_for_a_photo_without_a_shorter_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photo(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", pytest.fail)  # it takes long in a folder of many photos
        assert label_photo(path, [BOB], SIZE)


def test_a_shorter_sidecar_is_not_copied_where_the_folder_can_not_be_listed() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = photo(folder)
        (folder / "photo.xmp").write_bytes(sidecar(regions(region("Robert", 0.6, 0.6, 0.3, 0.3))))
        folder.chmod(0o333)
        try:
            with unprivileged():
                assert not label_photo(path, [BOB], SIZE)
                assert label_photo(path, [ANN, BOB], SIZE)
        finally:
            folder.chmod(0o755)
        written = texts(sidecar_of(path).read_bytes())
        assert ANN.name in written
        assert not {"Robert", "Bob"} & written


def test_the_sidecar_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photo(tmp_path)
    sidecar_of(path).write_bytes(sidecar(regions(region("Robert", 0.6, 0.6, 0.3, 0.3))))
    opened: list[Path] = []
    real = os.open

    def recording(file: Any, *arguments: Any) -> int:
        opened.append(file)
        return real(file, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", recording)
        assert label_photo(path, [ANN, BOB], SIZE)
    assert opened.count(sidecar_of(path)) == 1


def test_the_photo_s_own_metadata_come_before_those_beside_it(tmp_path: Path) -> None:
    path = photo(tmp_path, xmp=sidecar("<xmp:Label>mine</xmp:Label>"))
    (tmp_path / "photo.xmp").write_bytes(sidecar("<xmp:Label>of the raw photo</xmp:Label>"))
    assert label_photo(path, [BOB], SIZE)
    assert "mine" in texts(sidecar_of(path).read_bytes())


def test_what_somebody_corrects_is_theirs(tmp_path: Path) -> None:
    path = photo(tmp_path)
    sidecar_of(path).write_bytes(sidecar())
    label_photo(path, [ANN, BOB], SIZE)
    name = escape("Bob").encode()
    labelled = sidecar_of(path).read_bytes()
    corrected = labelled.replace(b"<mwg-rs:Name>" + name, b"<mwg-rs:Name>Robert")
    assert corrected != labelled
    sidecar_of(path).write_bytes(corrected)
    assert label_photo(path, [ANN, BOB], SIZE), "the keywords of Bob go"
    assert "Bob" not in texts(sidecar_of(path).read_bytes())
    assert unlabel_photo(path)
    left = texts(sidecar_of(path).read_bytes())
    assert "Robert" in left
    assert ANN.name not in left


EXIV2 = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:facerec="urn:facerec:labels:1.0/"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
   facerec:created="20dd4f7d3c087f8e0719d6ac4d91951f86124b2f8bcff7df7ea4544ef948bf31"
   xmp:Rating="5">
   <facerec:subject>
    <rdf:Bag>
     <rdf:li>Bob</rdf:li>
    </rdf:Bag>
   </facerec:subject>
   <facerec:made>
    <rdf:Bag>
     <rdf:li>dc:subject</rdf:li>
     <rdf:li>mwg-rs:Regions</rdf:li>
    </rdf:Bag>
   </facerec:made>
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:AppliedToDimensions
     stDim:w="400"
     stDim:h="300"
     stDim:unit="pixel"/>
    <mwg-rs:RegionList>
     <rdf:Bag>
      <rdf:li>
       <rdf:Description
        mwg-rs:Name="Bob"
        mwg-rs:Type="Face">
       <mwg-rs:Area
        stArea:x="0.600000000"
        stArea:y="0.600000000"
        stArea:w="0.200000000"
        stArea:h="0.200000000"
        stArea:unit="normalized"/>
       <mwg-rs:Extensions
        facerec:labelled="4ff3fde57f19702b"/>
       </rdf:Description>
      </rdf:li>
     </rdf:Bag>
    </mwg-rs:RegionList>
   </mwg-rs:Regions>
   <dc:subject>
    <rdf:Bag>
     <rdf:li>Bob</rdf:li>
    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
"""A sidecar of ours after Exiv2 0.27, the library of digiKam, has set the rating."""


def test_ours_are_still_found_after_exiv2_has_written_the_sidecar_anew(tmp_path: Path) -> None:
    path = photo(tmp_path)
    sidecar_of(path).write_bytes(EXIV2)
    label_photo(path, [ANN], SIZE)
    assert "Bob" not in texts(sidecar_of(path).read_bytes())
    for content, left in ((sidecar_of(path).read_bytes(), True), (EXIV2.replace(b'xmp:Rating="5"', b""), False)):
        sidecar_of(path).write_bytes(content)
        unlabel_photo(path)
        assert sidecar_of(path).exists() == left
        if left:
            (description,) = etree.fromstring(sidecar_of(path).read_bytes())[0]
            assert dict(description.attrib)["{http://ns.adobe.com/xap/1.0/}Rating"] == "5"
            assert len(description.attrib) == 2
            assert not len(description)


def test_a_mark_that_another_program_left_on_another_region_means_nothing(tmp_path: Path) -> None:
    """DigiKam sorts regions by name, writes them one by one, and leaves fields that it doesn't know where they were."""
    path = photo(tmp_path)
    sidecar_of(path).write_bytes(sidecar(regions(region("Zoe", 0.9, 0.9, 0.1, 0.1))))
    label_photo(path, [BOB], SIZE)
    tree = etree.fromstring(sidecar_of(path).read_bytes())
    first, second = tree.iter(f"{{{NAMESPACES['mwg-rs']}}}Extensions"), tree.iter(f"{{{NAMESPACES['rdf']}}}li")
    mark = next(first)
    zoe = next(li for li in second if "Zoe" in "".join(li.itertext()))
    zoe.append(mark)
    sidecar_of(path).write_bytes(etree.tostring(tree))
    unlabel_photo(path)
    assert {"Zoe", "Bob"} <= texts(sidecar_of(path).read_bytes())


def test_names_with_the_divider_of_levels_stay_one_level(tmp_path: Path) -> None:
    path = photo(tmp_path)
    label_photo(path, [ANN._replace(name="A/B|C")], SIZE)
    found = texts(sidecar_of(path).read_bytes())
    assert {"A/B|C", "People/A\N{DIVISION SLASH}B|C", "People|A/B\N{DIVIDES}C"} <= found


LABELS = st.lists(st.builds(lambda name, box: Region(name, *box), XML_TEXT, BOXES), max_size=4)
BAGS = st.lists(XML_TEXT, max_size=3).map(
    lambda names: f"<rdf:Bag>{''.join(f'<rdf:li>{escape(name)}</rdf:li>' for name in names)}</rdf:Bag>"
)
KEYWORDS = st.builds(
    lambda name, bag: f"<{name}>{bag}</{name}>",
    st.sampled_from(["dc:subject", "lr:hierarchicalSubject", "digiKam:TagsList"]),
    BAGS,
)
PROPERTIES = st.lists(
    st.one_of(
        KEYWORDS,
        LABELS.map(lambda labels: regions(*(region(escape(label.name), 0.05, 0.05, 0.01, 0.01) for label in labels))),
        XML_TEXT.map(lambda value: f'<a:b xmlns:a="urn:a">\n {escape(value)}\n</a:b>'),
        st.just("<!-- a comment -->"),
    ),
    max_size=5,
    unique_by=lambda value: value[:8],
)


@settings(deadline=None, max_examples=100)
@given(PROPERTIES, LABELS, LABELS)
def test_any_sidecar_comes_back(properties: list[str], labels: list[Region], others: list[Region]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = photo(Path(folder))
        before = sidecar(*properties)
        sidecar_of(path).write_bytes(before)
        for regions_of_run in (labels, others):
            label_photo(path, regions_of_run, SIZE)
            assert nodes(before) <= nodes(sidecar_of(path).read_bytes())
            assert not label_photo(path, regions_of_run, SIZE)
        unlabel_photo(path)
        assert canonical(sidecar_of(path).read_bytes()) == canonical(before)


MANY_ATTRIBUTES = "<xmp:a " + " ".join(f"a{number}=''" for number in range(500_000)) + "/>"
MANY_NAMESPACES = "<xmp:a " + " ".join(f"xmlns:n{number}='urn:{number}'" for number in range(200_000)) + " n1:a=''/>"
LAUGHS = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 30))
DOCTYPE = f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}<!ENTITY file SYSTEM "file:///etc/passwd">]>'


def with_doctype(value: str) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(
        DOCTYPE.encode() + sidecar(f"<xmp:Label>{value}</xmp:Label>").partition(b"?>")[2]
    )


def sparse(file: Path) -> None:
    with file.open("wb") as opened:
        opened.write(sidecar())
        opened.truncate(100 << 20)


HOSTILE: dict[str, tuple[Callable[[Path], object], tuple[type[XmpError], ...]]] = {
    "not XML": (lambda file: file.write_bytes(b"\xff\xd8 not XML"), (XmpDamaged,)),
    "empty": (lambda file: file.write_bytes(b""), (XmpDamaged,)),
    "cut off": (lambda file: file.write_bytes(sidecar()[:-60]), (XmpDamaged,)),
    "not XMP": (lambda file: file.write_bytes(b"<html/>"), (XmpDamaged,)),
    "unknown entity": (lambda file: file.write_bytes(sidecar("<xmp:Label>&x;</xmp:Label>")), (XmpDamaged,)),
    "unknown prefix": (lambda file: file.write_bytes(sidecar("<y:Label/>")), (XmpDamaged,)),
    "unknown encoding": (lambda file: file.write_bytes(b'<?xml version="1.0" encoding="x"?><a/>'), (XmpDamaged,)),
    "deep": (lambda file: file.write_bytes(sidecar("<xmp:a>" * 100_000 + "</xmp:a>" * 100_000)), (XmpDamaged,)),
    "DOCTYPE": (with_doctype("1"), (XmpWithDoctype,)),
    "external entity": (with_doctype("&file;"), (XmpWithDoctype,)),
    "billion laughs": (with_doctype("&l29;"), (XmpWithDoctype, XmpDamaged)),
    "billion laughs in an attribute": (with_doctype("<xmp:a xmp:b='&l29;'/>"), (XmpWithDoctype, XmpDamaged)),
    "many attributes": (lambda file: file.write_bytes(sidecar(MANY_ATTRIBUTES)[:-30]), (XmpDamaged,)),
    "many namespaces": (lambda file: file.write_bytes(sidecar(MANY_NAMESPACES)[:-30]), (XmpDamaged,)),
    "100 MB": (sparse, (XmpTooLarge,)),
    "link": (lambda file: file.symlink_to("elsewhere.xmp"), (XmpNotAFile,)),
    "link in a circle": (lambda file: file.symlink_to(file), (XmpNotAFile,)),
    "folder": (lambda file: file.mkdir(), (XmpNotAFile,)),
    "pipe": (os.mkfifo, (XmpNotAFile,)),
    "keywords as an attribute": (
        lambda file: file.write_bytes(sidecar().replace(b"xmp:Rating", b'dc:subject="Sea" xmp:Rating')),
        (XmpNotUnderstood,),
    ),
    "keywords without a list": (
        lambda file: file.write_bytes(sidecar("<dc:subject>Sea</dc:subject>")),
        (XmpNotUnderstood,),
    ),
    "regions that are a text": (
        lambda file: file.write_bytes(sidecar("<mwg-rs:Regions> </mwg-rs:Regions>")),
        (XmpNotUnderstood,),
    ),
    "regions without a list": (
        lambda file: file.write_bytes(
            sidecar("<mwg-rs:Regions><mwg-rs:RegionList>1</mwg-rs:RegionList></mwg-rs:Regions>")
        ),
        (XmpNotUnderstood,),
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_sidecar_is_a_clear_error_and_stays_as_it_is(case: str, tmp_path: Path) -> None:
    path = photo(tmp_path)
    (tmp_path / "elsewhere.xmp").write_bytes(sidecar())
    write, expected = HOSTILE[case]
    write(sidecar_of(path))
    before = snapshot(tmp_path)
    start = time.process_time()
    with pytest.raises(expected) as caught:
        label_photo(path, [BOB], SIZE)
    assert time.process_time() - start < 2
    assert caught.value.path == sidecar_of(path)
    if XmpNotUnderstood not in expected:
        with pytest.raises(expected):
            unlabel_photo(path)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["a\0b", "a\x1fb", "a\ufffeb", "a\ud800b"])
def test_a_name_that_xml_cannot_hold_is_a_clear_error(name: str, tmp_path: Path) -> None:
    path = photo(tmp_path)
    with pytest.raises(XmpNameNotAllowed):
        label_photo(path, [Region(name, 0, 0, 10, 10)], SIZE)
    assert len(snapshot(tmp_path)) == 1


def test_a_photo_that_is_gone_or_is_none_is_a_clear_error(tmp_path: Path) -> None:
    path = photo(tmp_path)
    label_photo(path, [BOB], SIZE)
    path.write_bytes(b"not a picture")
    with pytest.raises(UnsupportedPicture):
        label_photo(path, [BOB], SIZE)
    path.unlink()
    with pytest.raises(XmpNotReadable):
        label_photo(path, [BOB], SIZE)
    assert unlabel_photo(path), "the sidecar is there"
    assert not snapshot(tmp_path)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Let the permissions of files hold in the block, which they don't for root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("existing", [False, True])
def test_a_read_only_folder_is_a_clear_error(existing: bool, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = photo(folder)
        if existing:
            sidecar_of(path).write_bytes(sidecar())
        before = snapshot(folder)
        folder.chmod(0o555)
        try:
            with unprivileged(), pytest.raises(XmpNotWritable):
                label_photo(path, [BOB], SIZE)
        finally:
            folder.chmod(0o755)
        assert snapshot(folder) == before
        label_photo(path, [BOB], SIZE)
        folder.chmod(0o555)
        try:
            with unprivileged(), pytest.raises(XmpNotWritable):
                unlabel_photo(path)
        finally:
            folder.chmod(0o755)
        sidecar_of(path).chmod(0)
        folder.chmod(0o755)
        with unprivileged(), pytest.raises(XmpNotReadable):
            unlabel_photo(path)


def test_a_full_disk_is_a_clear_error_and_leaves_the_sidecar(tmp_path: Path) -> None:
    path = photo(tmp_path)
    sidecar_of(path).write_bytes(sidecar())
    before = snapshot(tmp_path)
    with no_file_larger_than(1000), pytest.raises(XmpNotWritable):
        label_photo(path, [ANN, BOB], SIZE)
    assert snapshot(tmp_path) == before


def test_what_another_program_writes_in_the_same_moment_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    absent = File(path, max_bytes=100)
    path.write_bytes(b"theirs")
    with pytest.raises(XmpChanged):
        absent.replace(b"ours")
    present = File(path, max_bytes=100)
    path.write_bytes(b"theirs, longer")
    with pytest.raises(XmpChanged):
        present.replace(b"ours")
    with pytest.raises(XmpChanged):
        present.delete()
    assert snapshot(tmp_path) == {"a.xmp": b"theirs, longer"}


def test_a_small_file_takes_little_memory_whatever_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    path.write_bytes(b"small")
    tracemalloc.start()
    try:
        assert File(path, max_bytes=1 << 30).content == b"small"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_file_that_grows_while_it_is_read_is_read_whole_within_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.xmp"
    real = os.fstat

    def growing(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        with path.open("ab") as file:
            file.write(b"theirs")
        return status

    def read(max_bytes: int) -> File:
        path.write_bytes(b"short")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fstat", growing)
            return File(path, max_bytes=max_bytes)

    file = read(len("shorttheirs"))
    assert file.content == b"shorttheirs"
    with pytest.raises(XmpChanged):
        file.replace(b"ours")
    with pytest.raises(XmpTooLarge):
        read(len("shorttheirs") - 1)
