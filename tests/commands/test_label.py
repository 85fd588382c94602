"""`facerec label` and `facerec unlabel`, on real files and with the shipped models."""

import html
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from facerec.inference.model_file import ACCURATE_RECOGNIZER_FILE
from facerec.people.location import VARIABLE
from facerec.training.archive import extract
from tests.commands.conftest import Command
from tests.commands.test_add_people import NO_FACE, write
from tests.harness import ROOT, wait_until
from tests.labelling.photos import snapshot
from tests.shipped import LFW, needs_lfw

GRACE = "Grace Hopper"
FACEREC = [sys.executable, "-m", "facerec"]


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory, hopper: list[bytes]) -> Path:
    """A gallery of one person."""
    folder = tmp_path_factory.mktemp("enrolled")
    people = write(folder / "people" / GRACE, *hopper[2:]).parent
    command = [*FACEREC, "people", "add", str(people), "--gallery", str(folder / "people.sqlite")]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    return folder / "people.sqlite"


@pytest.fixture
def photos(tmp_path: Path, gallery: Path, enrolled: Path, hopper: list[bytes]) -> Path:
    """A folder of four photos, two of which show somebody who is enrolled, and one of which is damaged."""
    gallery.parent.mkdir()
    shutil.copy(enrolled, gallery)
    return write(tmp_path / "photos", *hopper[:2], NO_FACE, b"no picture")


@pytest.fixture
def environment(gallery: Path) -> dict[str, str]:
    """For the command in another process."""
    return os.environ | {"PYTHONPATH": str(ROOT), VARIABLE: str(gallery)}


@pytest.fixture
def exiftool() -> Callable[..., str]:
    if not (program := shutil.which("exiftool")):
        pytest.skip("needs exiftool (libimage-exiftool-perl)")

    def run(*arguments: str | Path) -> str:
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=True).stdout

    return run


def test_a_folder_is_labelled_and_the_next_time_only_what_is_new(
    facerec: Command, photos: Path, hopper: list[bytes]
) -> None:
    labels = photos.parent / "labels"
    done = facerec("label", photos, photos.parent / "nowhere", "--output", labels, "--workers", "1")
    assert (done.code, done.out) == (0, [])
    assert done.err[0] == (
        f"Labelling with {ACCURATE_RECOGNIZER_FILE}, which the gallery was made with, and the people of "
        f"{photos.parent}/gallery/people.sqlite."
    )
    assert done.err[1].startswith(f"{photos.parent}/nowhere: There is no such file or folder")
    summary = r"4 pictures with 2 faces, of which 0 are of unknown people, in \d+ s\. 0 pictures have not changed\."
    assert re.fullmatch(summary, done.err[2])
    assert done.err[3:5] == ["person        faces", "Grace Hopper      2"]
    assert re.split(" {2,}", done.err[5]) == ["error", "number", "message"]
    assert {line.split()[0]: line.split()[1] for line in done.err[6:]} == {
        "unsupported_picture": "1",
        "path_not_found": "1",
    }
    table = pq.read_table(labels).to_pylist()
    assert {Path(row["path"]).name: row["identity"] for row in table} == {
        "0.jpg": GRACE,
        "1.jpg": GRACE,
        "2.jpg": None,
        "3.jpg": None,
    }

    (photos / "new.jpg").write_bytes(hopper[2])
    done = facerec("label", photos, "--output", labels, "--workers", "1")
    assert done.err[1].startswith("1 pictures with 1 faces, of which 0 are of unknown people")
    assert done.err[1].endswith(" 4 pictures have not changed.")
    assert done.err[2:] == ["person        faces", "Grace Hopper      1"]


def test_standard_output_has_nothing_but_rows(photos: Path, environment: dict[str, str]) -> None:
    (listed := photos.parent / "list.txt").write_text(f"{photos}/1.jpg\n\n{photos}/2.jpg\n{photos}/0.jpg\n")
    command = [*FACEREC, "label", str(photos / "0.jpg"), "--list", str(listed), "--output", "-"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(Path(row["path"]).name for row in rows) == ["0.jpg", "1.jpg", "2.jpg"]
    assert "3 pictures with 2 faces" in done.stderr


def test_unknown_people_are_grouped_named_and_shown(facerec: Command, tmp_path: Path, hopper: list[bytes]) -> None:
    """In a gallery that is not the usual, where nobody is enrolled. The page has the command that names a group."""
    photos = write(tmp_path / "photos", *hopper, NO_FACE)
    labels, report, gallery = tmp_path / "labels", tmp_path / "pages" / "report.html", tmp_path / "my people.sqlite"
    arguments = (
        "label",
        photos,
        "--gallery",
        gallery,
        "--output",
        labels,
        "--workers",
        "1",
        "--group",
        "--report",
        report,
    )
    done = facerec(*arguments)
    assert (done.code, done.out) == (0, [])
    assert done.err[0].endswith(f" and the people of {gallery}, where nobody is enrolled yet.")
    assert done.err[-2:] == [
        "Of 4 faces of unknown people 4 are good enough to be grouped: 4 are in 1 groups.",
        f"The report is {report}.",
    ]
    page = report.read_text()
    (command,) = re.findall(r"facerec (people name g1 \S+ --labels [^<]+)<", html.unescape(page))
    assert page.count("data:image/jpeg;base64,") == 4
    assert facerec(*shlex.split(command.replace("NAME", "Grace"))).code == 0
    done = facerec(*arguments)
    assert done.err[1].startswith("0 pictures with 0 faces")
    assert done.err[2:5] == [
        "The people have changed: 4 faces of earlier runs were given other names.",
        "person  faces of earlier runs",
        "Grace                       4",
    ]
    assert "Of 0 faces of unknown people" in done.err[-2]
    assert ">Grace<" in report.read_text()


def test_what_can_not_be_done_is_one_line(facerec: Command, tmp_path: Path) -> None:
    (empty := tmp_path / "empty").mkdir()
    output = ("--output", tmp_path / "labels")
    for arguments, message in (
        (output, "give the paths of pictures or folders, or a --list of them"),
        ((empty, "--list", tmp_path / "gone", *output), f"can't read {tmp_path}/gone: No such file"),
        ((empty, "--workers", "0", *output), "--workers is a number of processes"),
        ((empty, "--output", "labels.csv", "--xmp"), "--xmp needs the labels of a folder"),
        ((empty, "--output", "-", "--group"), "--group needs the labels of a folder"),
        ((empty, "--output", "labels.jsonl", "--report", "a.html"), "--report needs the labels of a folder"),
        ((empty, "--report", empty, *output), f"--report is a file such as {empty}/report.html, not a folder"),
        ((empty, "--report", f"{__file__}/a.html", *output), "File exists"),
        ((empty, "--gallery", empty, *output), f"a gallery is a SQLite file, and {empty} is a folder"),
        ((empty, "--workers", "1", "--ray", "auto", *output), "--workers is for this machine"),
        ((empty, "--ray", "127.0.0.1:1", *output), "The Ray cluster can't be reached"),
        ((empty, "--output", "labels.docx"), "Labels are written to a folder"),
        ((empty, "--gallery", "mysql://host/database", *output), "a gallery is the path of a SQLite file or"),
        ((empty, "--model", tmp_path / "gone.onnx", *output), str(tmp_path / "gone.onnx")),
        ((empty, "--workers", "1", *output), "no picture was found"),
    ):
        done = facerec("label", *arguments)
        assert done.code == 1, arguments
        assert done.err[-1].startswith("facerec: ")
        assert message in done.err[-1]


def test_sidecars_are_written_after_a_question_and_unlabel_takes_them_out(
    facerec: Command, photos: Path, exiftool: Callable[..., str]
) -> None:
    def tags(path: Path) -> dict[str, Any]:
        (found,) = json.loads(exiftool("-json", "-struct", "-G1", "-XMP:all", path))
        return {name: value for name, value in found.items() if "Toolkit" not in name}

    exiftool("-o", photos / "1.jpg.xmp", "-XMP:Rating=4", "-XMP-dc:Subject=Sea", photos / "1.jpg")
    before = snapshot(photos)
    theirs = tags(photos / "1.jpg.xmp")
    assert (theirs["XMP-xmp:Rating"], theirs["XMP-dc:Subject"]) == (4, ["Sea"])
    command = ("label", photos, "--output", photos.parent / "labels", "--workers", "1", "--xmp")
    asked = facerec(*command)
    assert asked.code == 1
    assert asked.err[-2] == "Sidecars: 1 new, 1 changed, 0 unchanged, 0 taken out."
    assert asked.err[-1].startswith("facerec: nothing was changed, because nobody can be asked: run the same command")
    assert snapshot(photos) == before

    done = facerec(*command, "--yes")
    assert (done.code, done.err[-1]) == (0, "2 sidecars were changed.")
    for name, keywords in (("0.jpg.xmp", [GRACE]), ("1.jpg.xmp", ["Sea", GRACE])):
        (region,) = tags(photos / name)["XMP-mwg-rs:RegionInfo"]["RegionList"]
        assert region["Name"] == GRACE
        assert tags(photos / name)["XMP-dc:Subject"] == keywords
    assert tags(photos / "1.jpg.xmp")["XMP-xmp:Rating"] == 4
    assert facerec(*command).err[-1] == "Sidecars: 0 new, 0 changed, 2 unchanged, 0 taken out."

    (photos / "0.jpg").rename(photos.parent / "0.jpg")
    assert facerec("unlabel", photos).code == 1
    done = facerec("unlabel", f"{photos}/*.jpg", photos, "--yes")
    assert done.err == ["Sidecars: 0 new, 0 changed, 0 unchanged, 2 taken out.", "2 sidecars were changed."]
    (photos.parent / "0.jpg").rename(photos / "0.jpg")
    assert snapshot(photos).keys() == before.keys()
    assert tags(photos / "1.jpg.xmp") == theirs
    done = facerec("unlabel", photos)
    assert (done.code, done.err) == (0, ["Sidecars: 0 new, 0 changed, 0 unchanged, 0 taken out."])


def test_a_sidecar_that_can_not_be_written_is_a_line(facerec: Command, photos: Path) -> None:
    (photos / "0.jpg.xmp").write_text("no XMP")
    command = ("label", photos, "--output", photos.parent / "labels", "--workers", "1", "--xmp", "--yes")
    done = facerec(*command)
    assert done.code == 0
    assert done.err[-3].startswith(f"{photos}/0.jpg.xmp: The metadata is not XMP")
    assert done.err[-2:] == ["Sidecars: 1 new, 0 changed, 0 unchanged, 0 taken out.", "1 sidecars were changed."]
    done = facerec("unlabel", photos, "--yes")
    assert done.err[0].startswith(f"{photos}/0.jpg.xmp: The metadata is not XMP")
    assert [path.name for path in photos.glob("*.xmp")] == ["0.jpg.xmp"]


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_on_a_terminal_it_asks(facerec: Command, photos: Path, environment: dict[str, str], answer: str) -> None:
    labelling = ("label", photos, "--output", photos.parent / "labels", "--workers", "1", "--xmp", "--yes")
    assert facerec(*labelling).code == 0
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode() + b"\n")
    command = [*FACEREC, "unlabel", str(photos)]
    done = subprocess.run(
        command, env=environment, stdin=theirs, capture_output=True, text=True, timeout=60, check=True
    )
    os.close(ours)
    os.close(theirs)
    assert "Change 2 sidecars? [y/N] " in done.stderr
    assert len(list(photos.glob("*.xmp"))) == (0 if answer == "y" else 2)


def test_paths_without_sidecars_that_can_not_be_searched_are_an_error(facerec: Command, tmp_path: Path) -> None:
    done = facerec("unlabel", tmp_path / "nowhere", "https://example.org/photo.jpg")
    assert done.code == 1
    assert done.err[0].startswith(f"{tmp_path}/nowhere: There is no such file or folder")
    assert done.err[1].startswith("https://example.org/photo.jpg: Sidecars are beside pictures of this machine alone")
    assert done.err[2:] == ["facerec: no sidecar was found: check the paths"]
    assert facerec("unlabel").err == ["facerec: give the paths of folders or photos"]


def test_after_ctrl_c_the_same_command_goes_on(
    photos: Path, facerec: Command, environment: dict[str, str], hopper: list[bytes]
) -> None:
    for number in range(12):  # bytes after the end of a JPEG make it another file
        (photos / f"more {number}.jpg").write_bytes(hopper[0] + bytes([number]))
    labels = photos.parent / "labels"
    arguments = ["label", str(photos), "--output", str(labels), "--workers", "1"]
    with subprocess.Popen([*FACEREC, *arguments], env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr
        assert running.stderr.readline().startswith("Labelling with ")
        wait_until((labels / ".lock").exists, seconds=60)
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 130
        stopped = "facerec: stopped: what was done is kept, and the same command goes on from there\n"
        assert running.stderr.read() == stopped
    assert facerec(*arguments).code == 0
    assert len({row["path"] for row in pq.read_table(labels).to_pylist()}) == 16


def test_a_reader_that_has_seen_enough_is_no_error(photos: Path, environment: dict[str, str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [*FACEREC, "label", str(photos), "--output", "-", "--workers", "1"]
    done = subprocess.run(
        command, env=environment, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(write)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_it_runs_without_the_packages_that_the_image_leaves_out(photos: Path, environment: dict[str, str]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    removed = re.search(r"uv pip uninstall ([\w -]+)", dockerfile)
    script = re.search(r"^RUN printf '(.*)' > \S+/bin/facerec ", dockerfile, re.MULTILINE)
    assert removed
    assert script
    code = script[1].replace(r"\n", "\n")
    blocked = [name.replace("-", "_") for name in removed[1].split()]
    program = f"import sys\nsys.modules.update(dict.fromkeys({blocked!r}))\n{code}"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            "label",
            str(photos),
            "--output",
            str(photos.parent / "labels"),
            "--xmp",
            "--yes",
        ],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("2 sidecars were changed.\n")


@needs_lfw
def test_enrolled_people_are_named_in_their_other_pictures(facerec: Command, tmp_path: Path) -> None:
    root = next(extract(LFW, ROOT / "data").glob("*funneled"))
    names = ("Aaron_Peirsol", "Abdullah_Gul", "Jackie_Chan")
    for name in names:
        for number, path in enumerate(sorted((root / name).glob("*.jpg"))[:4]):
            folder = tmp_path / ("people" if number < 2 else "photos") / name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder)
    assert facerec("people", "add", tmp_path / "people").code == 0
    labels = tmp_path / "labels"
    done = facerec("label", tmp_path / "photos", "--output", labels, "--workers", "1", "--no-shipped-people")
    assert done.code == 0
    rows = pq.read_table(labels).to_pylist()
    first = {row["path"]: row["identity"] for row in rows if row["face"] == 0}
    assert len(first) == 6
    assert all(name == Path(path).parent.name.replace("_", " ") for path, name in first.items()), first
