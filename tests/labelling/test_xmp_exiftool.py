"""ExifTool reads what we write, and what it writes is read, kept and left."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facerec.labelling.xmp.areas import Region
from facerec.labelling.xmp.reading import named_regions, sidecar_of
from facerec.labelling.xmp.writing import label_photo, unlabel_photo
from tests.heic_files import RED_HEIC
from tests.labelling.photos import canonical, photo

pytestmark = pytest.mark.skipif(not shutil.which("exiftool"), reason="needs exiftool (libimage-exiftool-perl)")

SIZE = (400, 300)
ANN, BOB = Region("Ann Ö<&>\"'😀", 40, 30, 80, 60), Region("Bob", 200, 150, 80, 60)
ZOE = "{Area={X=0.9,Y=0.9,W=0.1,H=0.1,Unit=normalized},Name=Zoe,Type=Face}"
FOCUS = "{Area={X=0.5,Y=0.5,D=0.1,Unit=normalized},Type=Focus,FocusUsage=EvaluatedUsed}"
THEIRS = (
    "-XMP:Rating=4",
    "-XMP-dc:Subject=Sea",
    "-XMP-dc:Subject=Bob",
    "-XMP-dc:Title-de=Möwe & <Meer>",
    "-XMP-lr:HierarchicalSubject=Places|Sea",
    "-XMP-digiKam:TagsList=Places/Sea",
    "-XMP-iptcExt:PersonInImage=Zoe",
    f"-XMP-mwg-rs:RegionInfo={{AppliedToDimensions={{W=400,H=300,Unit=pixel}},RegionList=[{ZOE},{FOCUS}]}}",
)


def exiftool(*arguments: str | Path) -> str:
    result = subprocess.run(
        ["exiftool", "-charset", "filename=utf8", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def tags(path: Path) -> dict[str, Any]:
    """All XMP of a file."""
    (found,) = json.loads(exiftool("-json", "-struct", "-G1", "-XMP:all", path))
    return {name: value for name, value in found.items() if name not in {"SourceFile", "XMP-x:XMPToolkit"}}


def names(found: dict[str, Any]) -> list[str | None]:
    """Of all regions."""
    return [region.get("Name") for region in found["XMP-mwg-rs:RegionInfo"]["RegionList"]]


def test_exiftool_reads_our_regions_and_keywords(tmp_path: Path) -> None:
    path = photo(tmp_path)
    label_photo(path, [ANN, BOB], SIZE)
    assert "OK" in exiftool("-validate", "-warning", "-a", sidecar_of(path))
    found = tags(sidecar_of(path))
    assert found["XMP-dc:Subject"] == [ANN.name, "Bob"]
    assert found["XMP-digiKam:TagsList"] == ["People/" + ANN.name, "People/Bob"]
    assert found["XMP-lr:HierarchicalSubject"] == ["People|" + ANN.name, "People|Bob"]
    regions = found["XMP-mwg-rs:RegionInfo"]
    assert regions["AppliedToDimensions"] == {"W": 400, "H": 300, "Unit": "pixel"}
    first, second = regions["RegionList"]
    assert (first["Name"], first["Type"], second["Name"]) == (ANN.name, "Face", "Bob")
    assert first["Area"] == pytest.approx({"X": 0.2, "Y": 0.2, "W": 0.2, "H": 0.2, "Unit": "normalized"})


def test_what_exiftool_wrote_is_kept_and_comes_back(tmp_path: Path) -> None:
    path = photo(tmp_path)
    exiftool("-o", sidecar_of(path), *THEIRS, path)
    theirs, before = tags(sidecar_of(path)), sidecar_of(path).read_bytes()
    assert [region.name for region in named_regions(path, SIZE)] == ["Zoe"]
    label_photo(path, [ANN, BOB], SIZE)
    found = tags(sidecar_of(path))
    assert names(found) == ["Zoe", None, ANN.name, "Bob"]
    assert found["XMP-dc:Subject"] == ["Sea", "Bob", ANN.name]
    assert found["XMP-digiKam:TagsList"] == ["Places/Sea", "People/" + ANN.name, "People/Bob"]
    assert found["XMP-lr:HierarchicalSubject"] == ["Places|Sea", "People|" + ANN.name, "People|Bob"]
    changed = {"XMP-dc:Subject", "XMP-digiKam:TagsList", "XMP-lr:HierarchicalSubject", "XMP-mwg-rs:RegionInfo"}
    assert {name: found[name] for name in theirs.keys() - changed} == {
        name: theirs[name] for name in theirs.keys() - changed
    }
    unlabel_photo(path)
    assert tags(sidecar_of(path)) == theirs
    assert canonical(sidecar_of(path).read_bytes()) == canonical(before)


def test_ours_are_still_found_after_exiftool_has_written_the_sidecar_anew(tmp_path: Path) -> None:
    path = photo(tmp_path)
    exiftool("-o", sidecar_of(path), *THEIRS, path)
    label_photo(path, [ANN, BOB], SIZE)
    exiftool("-overwrite_original", "-XMP:Rating=1", "-XMP-dc:Subject+=Wind", sidecar_of(path))
    label_photo(path, [ANN], SIZE)
    assert names(tags(sidecar_of(path))) == ["Zoe", None, ANN.name]
    unlabel_photo(path)
    found = tags(sidecar_of(path))
    assert names(found) == ["Zoe", None]
    assert found["XMP-dc:Subject"] == ["Sea", "Bob", "Wind"]
    assert found["XMP-xmp:Rating"] == 1
    assert not any("facerec" in name for name in found)


def test_a_sidecar_of_ours_that_exiftool_wrote_anew_goes_away_if_nothing_was_added(tmp_path: Path) -> None:
    path = photo(tmp_path)
    label_photo(path, [ANN], SIZE)
    exiftool("-overwrite_original", "-XMP:Rating=1", sidecar_of(path))
    exiftool("-overwrite_original", "-XMP:Rating=", sidecar_of(path))
    unlabel_photo(path)
    assert not sidecar_of(path).exists()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif", "heic"])
def test_regions_that_exiftool_put_into_a_photo_are_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"photo.{suffix}"
    if suffix == "heic":
        path.write_bytes(RED_HEIC)
    else:
        Image.new("RGB", SIZE).save(path)
    exiftool("-overwrite_original", *THEIRS, path)
    (found,) = named_regions(path, SIZE)
    assert found.name == "Zoe"
    assert found[1:] == pytest.approx((340, 255, 40, 30))
    before = path.read_bytes()
    label_photo(path, [BOB], SIZE)
    assert names(tags(sidecar_of(path))) == ["Zoe", None, "Bob"]
    assert tags(sidecar_of(path))["XMP-dc:Title-de"] == "Möwe & <Meer>"
    unlabel_photo(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_extended_xmp_is_read_and_copied(tmp_path: Path) -> None:
    path = photo(tmp_path)
    exiftool("-overwrite_original", f"-XMP-dc:Description={'long ' * 20_000}", *THEIRS, path)
    assert b"http://ns.adobe.com/xmp/extension/" in path.read_bytes()
    embedded = tags(path)
    assert [region.name for region in named_regions(path, SIZE)] == ["Zoe"]
    label_photo(path, [BOB], SIZE)
    found = tags(sidecar_of(path))
    assert names(found) == ["Zoe", None, "Bob"]
    assert found["XMP-dc:Description"] == embedded["XMP-dc:Description"]
    assert not any("HasExtendedXMP" in name for name in found)
    assert unlabel_photo(path)
    assert not sidecar_of(path).exists()
