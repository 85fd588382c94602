"""`facerec people add`, on real files and with the shipped models."""

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from facerec.commands.enrolment import Enrolment
from facerec.inference.model_file import ACCURATE_RECOGNIZER_FILE, DETECTOR_FILE, RECOGNIZER_FILE, shipped_models
from facerec.inference.pipeline import Pipeline
from facerec.inference.results import PictureResult
from facerec.models import load_pipeline
from facerec.people.enrolment import Portrait
from facerec.people.location import VARIABLE
from facerec.people.model_choice import embedding_of
from facerec.people.store import PeopleStore
from facerec.pictures.errors import UnsupportedPicture
from tests.commands.conftest import Command
from tests.harness import ROOT, picture

NO_FACE = picture(size=(200, 200))


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The accurate model's."""
    return load_pipeline(shipped_models() / ACCURATE_RECOGNIZER_FILE)


def write(folder: Path, *pictures: bytes) -> Path:
    """A folder of pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(pictures):
        (folder / f"{number}.jpg").write_bytes(data)
    return folder


def test_people_are_added_and_the_next_time_only_what_is_new(
    facerec: Command, tmp_path: Path, hopper: list[bytes]
) -> None:
    people = write(tmp_path / "people" / "Grace_Hopper", *hopper[:2]).parent
    done = facerec("people", "add", people)
    assert (done.code, done.out) == (0, ["name          added  known  refused", "Grace Hopper      2      0        0"])
    assert done.err[0] == (
        f"Enrolling in {tmp_path}/gallery/people.sqlite with {ACCURATE_RECOGNIZER_FILE}, the model for new galleries."
    )
    (people / "Grace_Hopper" / "new.png").write_bytes(hopper[2])
    done = facerec("people", "add", people)
    assert done.out[1] == "Grace Hopper      1      2        0"
    assert done.err[0].endswith(f"with {ACCURATE_RECOGNIZER_FILE}, which the gallery was made with.")
    assert facerec("people", "list").out == ["name          pictures", "Grace Hopper         3"]


def test_known_pictures_are_not_decoded(pipeline: Pipeline, gallery: Path, tmp_path: Path, hopper: list[bytes]) -> None:
    (path := tmp_path / "a.jpg").write_bytes(hopper[0])
    recognizer = pipeline.recognizer
    with closing(PeopleStore(gallery, embedding_of(recognizer.metadata, recognizer.checksum))) as store:
        enrolment = Enrolment(pipeline, store, force=False)
        seen = enrolment.look(path, enrolment.known_pictures("Grace"))
        assert not isinstance(seen, str | None)
        enrolment.enrol("Grace", [Portrait(seen, None)])
        known = enrolment.known_pictures("Grace")
        assert known == {seen.sha256}
        assert enrolment.look(path, known) is None


def test_folders_of_the_same_name_are_one_person_and_copies_count_as_known(
    facerec: Command, tmp_path: Path, hopper: list[bytes]
) -> None:
    write(tmp_path / "people" / "Grace_Hopper", hopper[0])
    write(tmp_path / "people" / "Grace Hopper", hopper[1], hopper[0])
    assert facerec("people", "add", tmp_path / "people").out[1] == "Grace Hopper      2      1        0"


def test_what_can_not_be_used_gets_a_row_with_the_reason(facerec: Command, tmp_path: Path, hopper: list[bytes]) -> None:
    people = tmp_path / "people"
    hopper_folder = write(people / "Grace Hopper", hopper[0])
    (hopper_folder / "broken.jpg").write_bytes(hopper[1][:3000])
    (hopper_folder / "text.jpg").write_text("no picture")
    (hopper_folder / "blank.png").write_bytes(NO_FACE)
    (hopper_folder / "circle.jpg").symlink_to("circle.jpg")
    (hopper_folder / "folder.jpg").mkdir()
    os.mkfifo(hopper_folder / "pipe.jpg")
    (hopper_folder / ".hidden.jpg").write_text("")
    (hopper_folder / "notes.txt").write_text("")
    (people / "loose.jpg").write_bytes(hopper[1])
    (people / "Up").symlink_to("..")
    (people / "Empty").mkdir()
    (people / ".git").mkdir()
    (people / "\x1b[31mRed").mkdir()
    latin = os.fsencode(people) + b"/Andr\xe9"
    os.mkdir(latin)  # noqa: PTH102 - a path of bytes
    Path(os.fsdecode(latin + b"/\xe9.jpg")).write_bytes(hopper[2])
    (hopper_folder / os.fsdecode(b"\xe9.jpg")).write_bytes(hopper[2])

    done = facerec("people", "add", people)
    assert done.code == 0
    assert done.out[:3] == ["name          added  known  refused", "Grace Hopper      2      0        6", ""]
    rows = dict(re.split(" {2,}", line) for line in done.out[3:])
    unsupported = str(UnsupportedPicture())
    no_file, no_name = "It is no file, or a link that leads nowhere.", "A name needs a character that can be seen"
    assert {path: why.partition(", and none t")[0] for path, why in rows.items()} == {
        "refused": "why",
        "\\x1b[31mRed": no_name,
        "Andr\\udce9": no_name,
        "Empty": "The folder has no pictures.",
        "Up": "The folder has no pictures.",
        "loose.jpg": "It is in no person's folder.",
        "Grace Hopper/blank.png": "No face was found in the picture, or none in the box.",
        "Grace Hopper/broken.jpg": unsupported,
        "Grace Hopper/text.jpg": unsupported,
        "Grace Hopper/circle.jpg": no_file,
        "Grace Hopper/folder.jpg": no_file,
        "Grace Hopper/pipe.jpg": no_file,
    }


def test_a_folder_that_can_not_be_used_is_one_line(facerec: Command, tmp_path: Path, gallery: Path) -> None:
    (file := tmp_path / "file").write_text("")
    (empty := tmp_path / "empty").mkdir()
    blank = write(tmp_path / "blank" / "Nobody", NO_FACE).parent
    for folder, message in (
        (tmp_path / "gone", "can't read the folder"),
        (file, "can't read the folder"),
        (empty, "has no folders"),
        (blank, "no picture was enrolled"),
    ):
        done = facerec("people", "add", folder)
        assert done.code == 1
        assert message in done.err[-1]
        assert len([line for line in done.err if line.startswith("facerec: ")]) == 1
    assert not gallery.exists()


def test_the_gallery_decides_about_the_model_unless_it_is_chosen(
    facerec: Command, tmp_path: Path, hopper: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = write(tmp_path / "people" / "Grace Hopper", hopper[0]).parent
    assert facerec("people", "add", people, "--model", "default").err[0].endswith(f"{RECOGNIZER_FILE}, as asked for.")
    assert facerec("people", "add", people).err[0].endswith(f"{RECOGNIZER_FILE}, which the gallery was made with.")
    done = facerec("people", "add", people, "--model", "accurate")
    assert done.code == 1
    assert done.err[0].startswith("facerec: The gallery's people were enrolled with another model.")
    other = ("--gallery", tmp_path / "other.sqlite")
    done = facerec("people", "add", people, "--model", shipped_models() / DETECTOR_FILE, *other)
    assert done.code == 1
    assert len(done.err) == 1
    monkeypatch.setenv("FACEREC_MODEL", "default")
    assert facerec("people", "add", people, *other).err[0].endswith(f"{RECOGNIZER_FILE}, as FACEREC_MODEL says.")


def test_somebody_under_another_name_is_refused_unless_forced(
    facerec: Command, tmp_path: Path, hopper: list[bytes]
) -> None:
    people = write(tmp_path / "people" / "Grace Hopper", *hopper[:2]).parent
    write(people / "Impostor", hopper[2])
    done = facerec("people", "add", people)
    assert done.out[1:3] == ["Grace Hopper      2      0        0", "Impostor          0      0        1"]
    assert done.out[-1].startswith("Impostor/0.jpg  The face is very like ")
    assert facerec("people", "add", people, "--force").out[2] == "Impostor          1      0        0"


def test_a_gallery_that_can_not_be_used_is_one_line(facerec: Command, tmp_path: Path, hopper: list[bytes]) -> None:
    people = write(tmp_path / "people" / "Grace Hopper", hopper[0]).parent
    (damaged := tmp_path / "damaged.sqlite").write_text("not a database" * 100)
    for location, message in (
        (damaged, "The gallery is damaged or not a gallery"),
        ("mysql://host/database", "a gallery is the path of a SQLite file or"),
        (people / "Grace Hopper" / "0.jpg" / "people.sqlite", "The gallery can't be written"),
    ):
        done = facerec("people", "add", people, "--gallery", location)
        assert done.code == 1
        assert message in done.err[-1]
        assert "Traceback" not in "\n".join(done.err)


def test_two_who_enrol_a_person_at_once_lose_nothing(
    pipeline: Pipeline, gallery: Path, tmp_path: Path, hopper: list[bytes]
) -> None:
    recognizer = pipeline.recognizer
    embedding = embedding_of(recognizer.metadata, recognizer.checksum)
    stores = [PeopleStore(gallery, embedding) for _ in range(4)]
    enrolments = [Enrolment(pipeline, store, force=True) for store in stores]
    seen = []
    for number, data in enumerate(hopper):
        (path := tmp_path / f"{number}.jpg").write_bytes(data)
        result = enrolments[0].look(path, frozenset())
        assert isinstance(result, PictureResult)
        seen.append(Portrait(result, None))
    failures: list[BaseException] = []
    barrier = threading.Barrier(4)

    def enrol(enrolment: Enrolment, portrait: Portrait) -> None:
        try:
            for number in range(20):
                barrier.wait(30)
                enrolment.enrol(f"Person {number}", [portrait])
        except BaseException as error:
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=enrol, args=pair) for pair in zip(enrolments, seen, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [len(person.samples) for person in stores[0].everybody()] == [4] * 20
    for store in stores:
        store.close()


def test_ctrl_c_stops_with_status_130_and_the_same_command_goes_on(
    facerec: Command, tmp_path: Path, gallery: Path, hopper: list[bytes]
) -> None:
    people = tmp_path / "people"
    for number in range(60):  # bytes after the end of a JPEG make it another file
        write(people / f"Person {number:02}", *(data + bytes([number]) for data in hopper[:2]))
    command = [sys.executable, "-m", "facerec", "people", "add", str(people), "--force"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), VARIABLE: str(gallery)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr
        assert running.stderr.readline().startswith("Enrolling in ")
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 130
        assert running.stderr.read() == "facerec: stopped\n"
    done = facerec("people", "add", people, "--force")
    assert done.code == 0
    assert len(facerec("people", "list").out) == 61
