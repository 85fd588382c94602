"""`facerec people add --from-xmp`, with the shipped models."""

import os
import re
from pathlib import Path

import pytest
from PIL import ExifTags, Image, ImageOps

from facerec.labelling.xmp.areas import Region
from facerec.labelling.xmp.writing import label_photo
from tests.commands.conftest import Command
from tests.labelling.photos import region, regions, sidecar
from tests.training.landmarks.photograph import HOPPER, photograph

BOX = (HOPPER.x / 512, HOPPER.y / 600, 1.2 * HOPPER.size / 512, 1.4 * HOPPER.size / 600)
"""A person's box around the face in `photograph`: centre and sides, in those of a picture with sides of 1."""
TABLE = ["name          added  known  refused"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five photos of one person, named as four programs do, and in one case by nobody."""
    image = photograph()
    assert image.size == (512, 600)
    folder = tmp_path / "photos"
    (picasa := folder / "2009" / "picasa").mkdir(parents=True)

    image.save(folder / "digikam.jpg")
    (folder / "digikam.jpg.xmp").write_bytes(sidecar(regions(region("Grace_Hopper", *BOX))))

    # The stored picture lies on its side, and regions mean the stored one.
    x, y, width, height = BOX
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    stored = sidecar(regions(region("Grace Hopper", y, 1 - x, height, width), dimensions=(600, 512)))
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "lightroom.jpg", xmp=stored, exif=exif)

    ImageOps.mirror(image).save(picasa / "p.jpg")
    sides = (1 - x - width / 2, y - height / 2, 1 - x + width / 2, y + height / 2)
    rectangle = "".join(f"{round(side * 0xFFFF):04x}" for side in sides)
    (picasa / ".picasa.ini").write_text(f"[Contacts2]\nab=Grace  Hopper;;\n[p.jpg]\nfaces=rect64({rectangle}),ab\n")

    image.resize((300, 352)).save(folder / "ours.jpg")
    label_photo(folder / "ours.jpg", [Region("Somebody", 100, 80, 120, 120)], (300, 352))
    image.resize((301, 353)).save(folder / "nobody.jpg")
    return folder


def test_named_faces_are_enrolled_and_the_next_time_known(facerec: Command, photos: Path) -> None:
    done = facerec("people", "add", "--from-xmp", photos)
    assert (done.code, done.out) == (0, [*TABLE, "Grace Hopper      3      0        0"])
    done = facerec("people", "add", photos, "--from-xmp")
    assert (done.code, done.out) == (0, [*TABLE, "Grace Hopper      0      3        0"])
    assert facerec("people", "list").out == ["name          pictures", "Grace Hopper         3"]


def test_the_box_chooses_the_face_and_each_person_has_a_row(facerec: Command, photos: Path) -> None:
    both = Image.new("RGB", (1024, 600))
    both.paste(photograph(), (0, 0))
    both.paste(ImageOps.mirror(photograph()), (512, 0))
    both.save(photos / "both.png")
    x, y, width, height = BOX
    boxes = {"Grace Hopper": (x / 2, y), "Impostor": (1 - x / 2, y), "Bob": (0.5, 0.9), "\u202eEve": (0.1, 0.1)}
    named = [region(name, *centre, width / 2, height) for name, centre in boxes.items()]
    (photos / "both.png.xmp").write_bytes(sidecar(regions(*named, dimensions=(1024, 600))))
    (photos / "ours.jpg.xmp").write_text("no XMP")
    (photos / "2009" / "text.jpg").write_text("no picture")
    (photos / "2009" / "up").symlink_to("..")

    done = facerec("people", "add", "--from-xmp", photos)
    assert done.code == 0
    assert done.out[:5] == [
        *TABLE,
        "Bob               0      0        1",
        "Grace Hopper      4      0        0",
        "Impostor          0      0        1",
        "",
    ]
    rows = [re.split(" {2,}", line) for line in done.out[6:]]
    assert [(path, why.partition(".")[0].partition(", ")[0]) for path, why in rows] == [
        ("2009/text.jpg", "The bytes are not a whole JPEG"),
        ("2009/up", "The link leads back to a folder that it lies in"),
        ("both.png", "Bob: No face was found in the picture"),
        ("both.png", "Impostor: The face is very like Grace Hopper"),
        ("both.png", "\\u202eEve: A name needs a character that can be seen"),
        ("ours.jpg", "The metadata is not XMP"),
    ]


def test_a_folder_where_nobody_is_named_is_one_line(facerec: Command, tmp_path: Path, gallery: Path) -> None:
    photograph().save(tmp_path / "nobody.jpg")
    for folder, message in (
        (tmp_path, "nobody is named in the metadata of the photos in "),
        (tmp_path / "gone", "is no folder that can be read"),
        (tmp_path / "nobody.jpg", "is no folder that can be read"),
    ):
        done = facerec("people", "add", "--from-xmp", folder)
        assert done.code == 1
        assert message in done.err[-1]
    assert not gallery.exists()


def test_paths_are_shown_from_the_folder_however_it_is_given(
    facerec: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "digikam.jpg").write_text("no picture")
    monkeypatch.chdir(photos.parent)
    done = facerec("people", "add", "--from-xmp", os.path.join(".", "photos"))  # noqa: PTH118
    assert done.out[-1].startswith("digikam.jpg  The bytes are not a whole JPEG")
