"""Folders of people as they are found on disks."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from facerec.commands.folder import search_folder
from facerec.labelling.found import is_picture_name
from facerec.pictures.decode import PICTURE_SUFFIXES
from facerec.training.dataset import load_dataset
from facerec.training.errors import DataError
from facerec.training.people_folder import MAX_DEPTH, people_root, search_people, summarize_skipped
from tests.drawn_people import draw_people, draw_person
from tests.heic_files import RED_HEIC, TRANSPARENT_HEIC, TURNED_HEIC
from tests.shipped import ROOT

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs names and files that other systems lack")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_people(tmp_path / "people", [3, 2])


def found(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in search_people(root).pictures]


def test_pictures_of_every_suffix_are_read_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "people" / "Ann").mkdir(parents=True)
    formats = {
        "jpg": "JPEG", "JPEG": "JPEG", "jpe": "JPEG", "JFIF": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF",
        "BMP": "BMP", "tif": "TIFF", "TIFF": "TIFF", "avif": "AVIF", "HEIC": "HEIF", "heif": "HEIF", "hif": "HEIF",
    }  # fmt: skip
    assert {f".{suffix.lower()}" for suffix in formats} == PICTURE_SUFFIXES
    heic_files = iter((RED_HEIC, TURNED_HEIC, TRANSPARENT_HEIC))
    for number, (suffix, kind) in enumerate(formats.items()):
        path = tmp_path / "people" / "Ann" / f"{number:02}.{suffix}"
        if kind == "HEIF":
            path.write_bytes(next(heic_files))
        else:
            draw_person(0, number).save(path, format=kind)
    dataset = load_dataset(tmp_path / "people", data_dir=tmp_path / "data")
    assert len(dataset.paths) == len(formats)
    assert not dataset.skipped


def test_the_document_names_every_suffix() -> None:
    document = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    assert not {suffix for suffix in PICTURE_SUFFIXES if f"{suffix} " not in document.replace("`", " ")}


def test_all_of_the_project_reads_the_same_suffixes(tmp_path: Path) -> None:
    (tmp_path / "people" / "Ann").mkdir(parents=True)
    for suffix in [*PICTURE_SUFFIXES, ".mov", ".txt", ".svg"]:
        (tmp_path / "people" / "Ann" / f"a{suffix}").touch()
    trained = search_people(tmp_path / "people").pictures
    assert trained == sorted(search_folder(tmp_path / "people").pictures["Ann"])
    assert trained == sorted(path for path in (tmp_path / "people" / "Ann").iterdir() if is_picture_name(path.name))


def test_a_picture_in_deeper_folders_is_of_the_person(folder: Path, tmp_path: Path) -> None:
    (folder / "Person_01" / "2003" / "summer").mkdir(parents=True)
    shutil.move(folder / "Person_01" / "0000.jpg", folder / "Person_01" / "2003" / "summer" / "a.jpg")
    dataset = load_dataset(folder, data_dir=tmp_path / "data")
    assert dataset.names == ["Person_00", "Person_01"]
    assert dataset.paths[3:] == ["Person_01/0001.jpg", "Person_01/2003/summer/a.jpg"]
    assert dataset.identities.tolist() == [0, 0, 0, 1, 1]


def test_what_somebody_may_have_meant_as_a_picture_is_named(folder: Path, tmp_path: Path) -> None:
    for name in ("a.MOV", "b.mov", "notes.txt", "scan"):
        (folder / "Person_00" / name).touch()
    (folder / "Person_00" / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "Person_01" / "copy.png").write_bytes((folder / "Person_00" / "0000.jpg").read_bytes())
    (folder / "Person_01" / "broken.jpg").write_bytes(b"not a picture")
    shutil.copy(folder / "Person_00" / "0000.jpg", folder / "cover.jpg")
    (folder / "pairs.txt").touch()
    (folder / "Person_00" / ".DS_Store").touch()
    skipped = load_dataset(folder, data_dir=tmp_path / "data").skipped
    assert skipped == {
        "Person_00/a.MOV": "not a picture by its suffix: .mov",
        "Person_00/b.mov": "not a picture by its suffix: .mov",
        "Person_00/gone.jpg": "a link to nowhere",
        "Person_00/notes.txt": "not a picture by its suffix: .txt",
        "Person_00/scan": "not a picture by its suffix: none",
        "Person_01/broken.jpg": skipped["Person_01/broken.jpg"],
        "Person_01/copy.png": "a copy of Person_00/0000.jpg",
        "cover.jpg": "in no person's folder",
    }
    assert summarize_skipped(skipped) == (
        "4 of other kinds (.mov 2, .txt 1, none 1); 1 equal to another picture; "
        "1 such as Person_00/gone.jpg (a link to nowhere); 1 such as cover.jpg (in no person's folder); "
        f"1 such as Person_01/broken.jpg ({skipped['Person_01/broken.jpg'].rstrip('.')})"
    )
    assert summarize_skipped({}) == "none"


def test_a_file_that_is_no_picture_changes_what_is_skipped_of_a_cached_data_set(folder: Path, tmp_path: Path) -> None:
    assert not load_dataset(folder, data_dir=tmp_path / "data").skipped
    (folder / "Person_00" / "a.mov").touch()
    assert list(load_dataset(folder, data_dir=tmp_path / "data").skipped) == ["Person_00/a.mov"]


def test_people_are_found_below_outer_folders_and_beside_macosx(tmp_path: Path) -> None:
    people = draw_people(tmp_path / "outer" / "lfw", [2, 2])
    shutil.copytree(people, tmp_path / "outer" / "__MACOSX" / "lfw")
    (people / "@eaDir").mkdir()
    shutil.copy(people / "Person_00" / "0000.jpg", people / "@eaDir" / "thumbnail.jpg")
    (people / "Person_00" / "__MACOSX").mkdir()
    shutil.copy(people / "Person_00" / "0000.jpg", people / "Person_00" / "__MACOSX" / "x.jpg")
    (tmp_path / "outer" / ".hidden" / "below").mkdir(parents=True)
    assert people_root(tmp_path / "outer") == people
    assert len(found(people)) == 4


def test_each_folder_is_read_once_however_many_links_lead_to_it(folder: Path, tmp_path: Path) -> None:
    elsewhere = draw_people(tmp_path / "elsewhere", [2]) / "Person_00"
    (folder / "A_Link").symlink_to("Person_00")
    (folder / "Person_00" / "loop").symlink_to("..")
    (folder / "Person_01" / "self").symlink_to(".")
    (folder / "Person_01" / "album").symlink_to(elsewhere)
    (folder / "Person_01" / "linked.jpg").symlink_to(elsewhere / "0000.jpg")
    assert found(folder) == [
        *(f"Person_00/000{number}.jpg" for number in range(3)),
        *(f"Person_01/{name}.jpg" for name in ("0000", "0001", "album/0000", "album/0001", "linked")),
    ]
    assert set(search_people(folder).skipped) == {"A_Link", "Person_00/loop", "Person_01/self"}


def test_a_folder_of_nothing_but_a_link_to_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "loop").symlink_to(".")
    with pytest.raises(DataError, match="no pictures in"):
        load_dataset(tmp_path / "people", data_dir=tmp_path / "data")


@linux
def test_folders_1500_deep_are_left_out(folder: Path, tmp_path: Path) -> None:
    here = os.open(folder / "Person_00", os.O_RDONLY)
    for _ in range(1500):  # by descriptors, as the path becomes longer than a path may be
        os.mkdir("deep", dir_fd=here)
        inner = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    dataset = load_dataset(folder, data_dir=tmp_path / "data")
    assert len(dataset.paths) == 5
    assert list(dataset.skipped.values()) == [f"more than {MAX_DEPTH} folders deep"]
    alone = tmp_path / "alone"
    alone.mkdir()
    (folder / "Person_00" / "deep").rename(alone / "deep")
    with pytest.raises(DataError, match="no pictures in"):
        load_dataset(alone, data_dir=tmp_path / "data")
    subprocess.run(["rm", "-r", alone], check=True)  # Python's own way recurses too deep


@linux
def test_pipes_sockets_and_devices_are_not_opened(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "Person_00" / "pipe.jpg")
    (folder / "Person_00" / "zeros.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "Person_00" / "socket.jpg"))
    dataset = load_dataset(folder, data_dir=tmp_path / "data")
    assert dataset.skipped == dict.fromkeys(
        [f"Person_00/{name}.jpg" for name in ("pipe", "socket", "zeros")], "no file, but a pipe, a socket or a device"
    )


@linux
def test_a_file_that_claims_terabytes_is_skipped(folder: Path, tmp_path: Path) -> None:
    with (folder / "Person_00" / "huge.jpg").open("wb") as file:
        file.truncate(5 * 10**12)
    skipped = load_dataset(folder, data_dir=tmp_path / "data").skipped
    assert list(skipped) == ["Person_00/huge.jpg"]
    assert "bytes" in skipped["Person_00/huge.jpg"]


def test_a_picture_of_too_many_pixels_is_skipped(folder: Path, tmp_path: Path) -> None:
    Image.new("1", (13_000, 13_000)).save(folder / "Person_00" / "huge.png")
    skipped = load_dataset(folder, data_dir=tmp_path / "data").skipped
    assert list(skipped) == ["Person_00/huge.png"]
    assert "100,000,000 pixels" in skipped["Person_00/huge.png"]


@linux
def test_names_can_not_send_escape_sequences_to_a_terminal(folder: Path, tmp_path: Path) -> None:
    (folder / "Person_00").rename(folder / "An\x1b[31mn\n\u202e")
    (folder / "Person_01" / "a\x07.mov").touch()
    dataset = load_dataset(folder, data_dir=tmp_path / "data")
    assert dataset.names == ["An\\x1b[31mn\\n\\u202e", "Person_01"]
    assert list(dataset.skipped) == ["Person_01/a\\x07.mov"]


@linux
def test_a_folder_that_can_not_be_read_is_an_error(folder: Path, tmp_path: Path) -> None:
    here = folder
    while len(str(here)) < 3_700:  # then folders of longer names can't be opened by their path
        here = here / ("x" * 200)
        here.mkdir()
    with pytest.raises(DataError, match="can't read the folder"):
        people_root(here / ("y" * 255))
    assert len(load_dataset(folder, data_dir=tmp_path / "data").paths) == 5


def test_a_path_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="doesn't exist"):
        load_dataset(Path("x" * 300), data_dir=tmp_path / "data")
