"""The faces that people have already named are read from every place and form in which programs write them."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from facerec.labelling.xmp.areas import Area, Region
from facerec.labelling.xmp.errors import XmpDamaged, XmpNotAFile, XmpTooLarge
from facerec.labelling.xmp.picasa import picasa_areas
from facerec.labelling.xmp.reading import named_regions, sidecar_of
from facerec.labelling.xmp.writing import label_photo
from facerec.people.names import canonical_name
from tests.heic_files import TURNED_HEIC
from tests.labelling.photos import BOXES, XML_TEXT, photo, region, regions, sidecar

SIZE = (400, 300)
ANN = Region("Ann", 100, 60, 40, 30)
"""The region that `AREA` is, in a picture of `SIZE`."""
AREA = (0.3, 0.25, 0.1, 0.1)
THEIRS = sidecar(regions(region("Ann", *AREA)))

MICROSOFT = sidecar(
    "<MP:RegionInfo rdf:parseType='Resource'><MPRI:Regions><rdf:Bag>"
    "<rdf:li rdf:parseType='Resource'><MPReg:Rectangle>0.25, 0.2, 0.1, 0.1</MPReg:Rectangle>"
    "<MPReg:PersonDisplayName>Ann</MPReg:PersonDisplayName></rdf:li>"
    "<rdf:li MPReg:PersonDisplayName='Nowhere'/><rdf:li MPReg:Rectangle='0.1, 0.1, 0.1, 0.1'/>"
    "</rdf:Bag></MPRI:Regions></MP:RegionInfo>"
)
FORMS = {
    "fields as elements": THEIRS.replace(b"<mwg-rs:Area ", b"<mwg-rs:Area rdf:parseType='Resource'><q ").replace(
        b'<q stArea:x="0.3" stArea:y="0.25" stArea:w="0.1" stArea:h="0.1" stArea:unit="normalized"/>',
        b"<stArea:x>0.3</stArea:x><stArea:y> 0.25 </stArea:y><stArea:w>.1</stArea:w><stArea:h>1e-1</stArea:h>"
        b"</mwg-rs:Area>",
    ),
    "fields as attributes": THEIRS,
    "descriptions": sidecar(  # Picasa, Lightroom
        '<mwg-rs:Regions><rdf:Description><mwg-rs:AppliedToDimensions stDim:w="400" stDim:h="300"/>'
        '<mwg-rs:RegionList><rdf:Bag><rdf:li><rdf:Description mwg-rs:Name="Ann" mwg-rs:Type="Face">'
        '<mwg-rs:Area stArea:x="0.3" stArea:y="0.25" stArea:w="0.1" stArea:h="0.1" stArea:unit="normalized"/>'
        "</rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList></rdf:Description></mwg-rs:Regions>"
    ),
    "a sequence": THEIRS.replace(b"rdf:Bag", b"rdf:Seq"),  # Apple
    "no type and no dimensions": sidecar(regions(region("Ann", *AREA), dimensions=None)).replace(
        b"<mwg-rs:Type>Face</mwg-rs:Type>", b""
    ),
    "Microsoft": MICROSOFT,
    "both, as digiKam": sidecar(
        regions(region("Ann", *AREA)), MICROSOFT.decode().partition("<MP:")[2].join(["<MP:", ""]).partition("\n")[0]
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: str, tmp_path: Path) -> None:
    path = photo(tmp_path)
    sidecar_of(path).write_bytes(FORMS[form])
    (found,) = named_regions(path, SIZE)
    assert found.name == "Ann"
    assert found[1:] == pytest.approx(ANN[1:])


def test_what_is_no_named_face_is_left_out(tmp_path: Path) -> None:
    path = photo(tmp_path)
    sidecar_of(path).write_bytes(
        sidecar(
            regions(
                region("", *AREA),
                region("Rex", *AREA, kind="Pet"),
                region("not a number", "nan", 0.5, 0.1, 0.1),
                region("endless", 0.5, 0.5, "inf", "1e999"),
                region("no number", "a", 0.5, 0.1, ""),
                region("nothing", 0.5, 0.5, 0, 0.1),
                region("negative", 0.5, 0.5, -0.1, -0.1),
                region("outside", 5, 0.5, 0.1, 0.1),
                "<rdf:li/>",
                "<rdf:li rdf:parseType='Resource'><mwg-rs:Name>nowhere</mwg-rs:Name></rdf:li>",
                region("half outside", 0, 0.5, 0.2, 0.1),
            )
        )
    )
    (found,) = named_regions(path, SIZE)
    assert found.name == "half outside"
    assert found[1:] == pytest.approx((0, 135, 40, 30))


def test_our_own_regions_are_left_out(tmp_path: Path) -> None:
    path = photo(tmp_path)
    label_photo(path, [ANN], SIZE)
    assert not named_regions(path, SIZE)


def test_the_first_place_that_names_a_face_counts(tmp_path: Path) -> None:
    def place(name: str) -> bytes:
        return sidecar(regions(region(name, *AREA)))

    path = photo(tmp_path, xmp=place("in the photo"))
    (tmp_path / ".picasa.ini").write_text("[Contacts2]\nab=Picasa;;\n[photo.jpg]\nfaces=rect64(4ccc3333),ab\n")
    (tmp_path / "photo.xmp").write_bytes(place("photo.xmp"))
    sidecar_of(path).write_bytes(place("photo.jpg.xmp"))
    for name in ("photo.jpg.xmp", "photo.xmp"):
        assert [found.name for found in named_regions(path, SIZE)] == [name]
        (tmp_path / name).write_bytes(sidecar())
    assert [found.name for found in named_regions(path, SIZE)] == ["in the photo"]
    assert [found.name for found in named_regions(photo(tmp_path), SIZE)] == ["Picasa"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_mean_the_stored_picture(orientation: int, tmp_path: Path) -> None:
    """Where the red face is in the stored and in the upright picture is what Pillow says."""
    stored = Image.new("RGB", SIZE, "white")
    stored.paste("red", (40, 60, 120, 90))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / "photo.jpg"
    stored.save(path, exif=exif, quality=95)
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened)
    green = upright.getchannel("G").point(lambda value: 255 if value < 128 else 0)
    left, top, right, bottom = green.getbbox() or (0, 0, 0, 0)
    truth = Region("Ann", left, top, right - left, bottom - top)
    x, y, width, height = 80 / 400, 75 / 300, 80 / 400, 30 / 300

    label_photo(path, [truth], upright.size)
    written = sidecar_of(path).read_text()
    for name, value in {"x": x, "y": y, "w": width, "h": height}.items():
        assert f"<stArea:{name}>{value:.9f}<" in written
    assert "<stDim:w>400<" in written
    assert "<stDim:h>300<" in written

    sidecar_of(path).write_bytes(sidecar(regions(region("Ann", x, y, width, height))))
    (found,) = named_regions(path, upright.size)
    assert found[1:] == pytest.approx(truth[1:])

    rectangle = "".join(f"{round(side * 0xFFFF):04x}" for side in (0.1, 0.2, 0.3, 0.3))
    sidecar_of(path).unlink()
    (tmp_path / ".picasa.ini").write_text(f"[photo.jpg]\nfaces=rect64({rectangle}),ab\n[Contacts2]\nab=Ann;;\n")
    (found,) = named_regions(path, upright.size)
    assert found[1:] == pytest.approx(truth[1:], abs=0.01)

    (tmp_path / ".picasa.ini").unlink()
    rectangle = "0.1, 0.2, 0.2, 0.1"
    sidecar_of(path).write_bytes(MICROSOFT.replace(b"0.25, 0.2, 0.1, 0.1", rectangle.encode()))
    (found,) = named_regions(path, upright.size)
    assert found[1:] == pytest.approx(truth[1:])


def test_a_document_may_say_that_its_regions_mean_the_upright_picture(tmp_path: Path) -> None:
    path = photo(tmp_path, orientation=6)
    sidecar_of(path).write_bytes(sidecar(regions(region("Ann", 0.5, 0.25, 0.1, 0.1), dimensions=(300, 400))))
    (found,) = named_regions(path, (300, 400))
    assert found[1:] == pytest.approx((135, 80, 30, 40))
    label_photo(path, [Region("Bob", 0, 300, 30, 40)], (300, 400))
    written = sidecar_of(path).read_text()
    assert "<stArea:x>0.050000000<" in written
    assert "<stArea:y>0.800000000<" in written


def test_a_heic_is_turned_by_its_container_alone(tmp_path: Path) -> None:
    path = tmp_path / "photo.heic"
    path.write_bytes(TURNED_HEIC)
    sidecar_of(path).write_bytes(THEIRS)
    (found,) = named_regions(path, (64, 64))
    assert found[1:] == pytest.approx((16, 12.8, 6.4, 6.4))


@settings(deadline=None)
@given(st.tuples(*[st.floats(0, 1)] * 4), st.integers(1, 8))
def test_turning_back_is_the_inverse(sides: tuple[float, float, float, float], orientation: int) -> None:
    area = Area(min(sides[0], sides[2]), min(sides[1], sides[3]), max(sides[0], sides[2]), max(sides[1], sides[3]))
    assert area.upright(orientation).stored(orientation) == pytest.approx(area)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(XML_TEXT, BOXES), min_size=1, max_size=5), st.integers(1, 8))
def test_names_and_boxes_come_back(
    tmp_path_factory: pytest.TempPathFactory, labels: list[tuple[str, tuple[int, int, int, int]]], orientation: int
) -> None:
    folder = tmp_path_factory.mktemp("photos")
    path = photo(folder, SIZE if orientation < 5 else SIZE[::-1], orientation)
    written = [Region(name, *box) for name, box in labels]
    label_photo(path, written, SIZE)
    content = sidecar_of(path).read_bytes()
    sidecar_of(path).write_bytes(content.replace(b"urn:facerec:labels:1.0/", b"urn:others"))
    found = named_regions(path, SIZE)
    assert [Region(name, *map(round, box)) for name, *box in found] == written


def test_names_that_people_may_have_come_back_as_they_are(tmp_path: Path) -> None:
    path = photo(tmp_path)
    name = canonical_name("Zoë \u200dक्‍ष 山田 太郎 <&>\"'/|")
    label_photo(path, [ANN._replace(name=name)], SIZE)
    content = sidecar_of(path).read_bytes()
    sidecar_of(path).write_bytes(content.replace(b"urn:facerec:labels:1.0/", b"urn:others"))
    assert named_regions(path, SIZE)[0].name == name


def test_picasa_names_faces_of_this_photo_alone(tmp_path: Path) -> None:
    path = photo(tmp_path)
    (tmp_path / ".picasa.ini").write_text(
        "[Picasa]\nname=x\n[other.jpg]\nfaces=rect64(1),1\n[photo.jpg]\nbackuphash=1\n"
        "faces=rect64(40003333599a4ccd),8e62b2035b74b477;rect64(1),ffffffffffffffff;rect64(zz),1;"
        "rect64(599a4ccd40003333),1\n"
        "[Contacts2]\n8e62b2035b74b477=Ada Lovelace;;\n1=Turned;;\nbroken\n",
        encoding="utf-8",
    )
    (found,) = named_regions(path, SIZE)
    assert found.name == "Ada Lovelace"
    assert found[1:] == pytest.approx((100, 60, 40, 30), abs=0.02)


def test_a_photo_that_picasa_does_not_name_does_not_wait_for_those_that_it_names(tmp_path: Path) -> None:
    others = "".join(f"[{number:06}.jpg]\nbackuphash=1\nfaces=rect64(4ccc3333),ab\n" for number in range(100_000))
    (tmp_path / ".picasa.ini").write_text(f"[Contacts2]\nab=Ann;;\n{others}")

    def seconds(name: str) -> float:
        """The least time of one reading."""
        times = []
        for _ in range(3):
            start = time.process_time()
            picasa_areas(tmp_path / name, 1)
            times.append(time.process_time() - start)
        return min(times)

    assert [found.name for found in picasa_areas(tmp_path / "000001.jpg", 1)] == ["Ann"]
    assert picasa_areas(tmp_path / "photo.jpg", 1) == []
    assert seconds("photo.jpg") < seconds("000001.jpg") / 3


def test_picasa_names_photos_whose_names_are_not_ascii(tmp_path: Path) -> None:
    photos = "".join(f"[{name}]\nfaces=rect64(4ccc3333),ab\n" for name in ("Zoë.jpg", "\ufffd.jpg"))
    (tmp_path / ".picasa.ini").write_text(f"[Contacts2]\nab=Ann;;\n{photos}", encoding="utf-8")
    assert [found.name for found in picasa_areas(tmp_path / "Zoë.jpg", 1)] == ["Ann"]
    assert picasa_areas(tmp_path / os.fsdecode(b"\xff.jpg"), 1) == [], "a name that is not UTF-8"


@pytest.mark.parametrize("name", ["photo.jpg.xmp", "photo.xmp", "photo.jpg"])
def test_damaged_metadata_is_a_clear_error_of_its_file(name: str, tmp_path: Path) -> None:
    path = photo(tmp_path, xmp=b"<not xmp" if name == "photo.jpg" else b"")
    if name != "photo.jpg":
        (tmp_path / name).write_bytes(b"<not xmp")
    with pytest.raises(XmpDamaged) as caught:
        named_regions(path, SIZE)
    assert caught.value.path.name == name


def test_links_and_large_files_are_not_read(tmp_path: Path) -> None:
    path = photo(tmp_path)
    (tmp_path / "photo.xmp").symlink_to("/etc/passwd")
    with pytest.raises(XmpNotAFile):
        named_regions(path, SIZE)
    (tmp_path / "photo.xmp").unlink()
    with (tmp_path / ".picasa.ini").open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(XmpTooLarge):
        named_regions(path, SIZE)
    (tmp_path / ".picasa.ini").unlink()
    (tmp_path / "link.jpg").symlink_to(path)
    sidecar_of(tmp_path / "link.jpg").write_bytes(THEIRS)
    assert named_regions(tmp_path / "link.jpg", SIZE), "a photo may be a link"


def test_many_regions_are_read_in_no_time(tmp_path: Path) -> None:
    path = photo(tmp_path)
    content = sidecar(regions(*[region("Ann", *AREA)] * 40_000))
    assert 7_000_000 < len(content) < 8 << 20
    sidecar_of(path).write_bytes(content)
    start = time.process_time()
    assert len(named_regions(path, SIZE)) == 40_000
    assert time.process_time() - start < 10
