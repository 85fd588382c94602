"""`facerec people name`, on labels of real pictures and with the shipped models."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from facerec.inference.model_file import ACCURATE_RECOGNIZER_FILE, shipped_models
from facerec.inference.recognizer import FaceRecognizer
from facerec.labelling.archive import People, label_archive
from facerec.labelling.grouping import group_unknown_faces
from facerec.models import worker_options
from facerec.people.model_choice import embedding_of
from facerec.people.store import PeopleStore
from tests.commands.conftest import Command
from tests.labelling.toy_archive import stored
from tests.people.faces import EMBEDDING, sample

RECOGNIZER = shipped_models() / ACCURATE_RECOGNIZER_FILE


def label(photos: Path, labels: Path, gallery: Path | None = None) -> None:
    """Label photos with the accurate model, and group those whom nobody knows."""
    label_archive(photos, str(labels), worker_options(RECOGNIZER), workers=1, people=People(gallery=gallery))
    group_unknown_faces(labels, FaceRecognizer.load(RECOGNIZER, threads=1).metadata)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory, hopper: list[bytes]) -> Path:
    """The folder `labels` of `photos`: four of Grace Hopper, whom nobody knows."""
    folder = tmp_path_factory.mktemp("hopper")
    (folder / "photos").mkdir()
    for number, data in enumerate(hopper):
        (folder / "photos" / f"{number}.jpg").write_bytes(data)
    label(folder / "photos", folder / "labels")
    return folder


@pytest.fixture
def labels(labelled: Path, tmp_path: Path) -> Path:
    """A copy of the labels."""
    return shutil.copytree(labelled / "labels", tmp_path / "labels")


def test_a_group_is_enrolled_and_its_faces_have_the_name_once_labelled_again(
    facerec: Command, labelled: Path, labels: Path, gallery: Path
) -> None:
    assert [row["group"] for row in stored(labels)] == ["g1"] * 4
    photos = labelled / "photos"
    away = photos.rename(photos.with_name("away"))  # no picture is read
    done = facerec("people", "name", "g1", "Grace_Hopper", "--labels", labels)
    assert (done.code, done.out) == (0, ["name          added  known  refused", "Grace Hopper      4      0        0"])
    assert done.err[0] == f"Enrolling 4 faces of the group g1 in {gallery}."
    assert done.err[1].startswith("4 faces were added in ")
    assert done.err[1].endswith("now gives the name to all of the person's faces, and reads no picture anew.")
    assert facerec("people", "name", "g1", "Grace Hopper", "--labels", labels).out[1].split()[2:] == ["0", "4", "0"]
    away.rename(photos)
    label(photos, labels, gallery)
    assert [(row["identity"], row["group"]) for row in stored(labels)] == [("Grace Hopper", None)] * 4
    done = facerec("people", "name", "g1", "Grace Hopper", "--labels", labels)
    assert (done.code, done.err[0][:45]) == (1, "facerec: No face belongs to this group: `face")


def test_samples_are_those_of_the_pictures(
    facerec: Command, labelled: Path, labels: Path, gallery: Path, tmp_path: Path
) -> None:
    facerec("people", "name", "g1", "Grace", "--labels", labels)
    other = tmp_path / "other.sqlite"
    shutil.copytree(labelled / "photos", tmp_path / "people" / "Grace")
    facerec("people", "add", tmp_path / "people", "--gallery", other)
    kept = []
    recognizer = FaceRecognizer.load(RECOGNIZER, threads=1)
    for location in (gallery, other):
        with closing(PeopleStore(location, embedding_of(recognizer.metadata, recognizer.checksum))) as store:
            [person] = store.everybody()
            kept.append({sample.picture_sha256: sample for sample in person.samples})
    named, added = kept
    assert named.keys() == added.keys()
    for sha256, one in named.items():
        two = added[sha256]
        assert one.embedding == pytest.approx(two.embedding, abs=1e-5)
        assert one.quality == pytest.approx(two.quality, abs=1e-4)
        assert one.box == pytest.approx(two.box, abs=1)
    assert facerec("people", "name", "g1", "Grace", "--labels", labels, "--gallery", other).out[1].split()[2] == "4"


def test_faces_like_somebody_else_are_refused_unless_forced(facerec: Command, labels: Path) -> None:
    facerec("people", "name", "g1", "Grace", "--labels", labels)
    done = facerec("people", "name", "g1", "Ada", "--labels", labels)
    name, added, known, refused = done.out[1].split()
    assert done.code == (0 if int(added) else 1)
    assert (name, known, int(added) + int(refused)) == ("Ada", "0", 4)
    assert int(refused) > 0
    assert done.out[3].split() == ["refused", "why"]
    assert [line.split()[0].rpartition("/")[2][1:] for line in done.out[4:]] == [".jpg"] * int(refused)
    assert all("very like Grace" in line for line in done.out[4:])
    forced = facerec("people", "name", "g1", "Eve", "--labels", labels, "--force")
    assert forced.out == ["name  added  known  refused", "Eve       4      0        0"]


def test_the_gallery_and_the_model_must_be_those_of_the_labels(
    facerec: Command, labels: Path, gallery: Path, tmp_path: Path
) -> None:
    done = facerec("people", "name", "g1", "Grace", "--labels", labels, "--model", "default")
    assert (done.code, done.err) == (
        1,
        ["facerec: The labels were made with another model: choose that one with --model."],
    )
    gallery.parent.mkdir()
    with closing(PeopleStore(gallery, EMBEDDING)) as store:
        store.add_person("Ada", [sample(0)])
    done = facerec("people", "name", "g1", "Grace", "--labels", labels)
    assert (done.code, len(done.err)) == (1, 1)
    assert "were enrolled with another model" in done.err[0]


def test_what_is_not_there_is_said_in_a_line(facerec: Command, labels: Path, gallery: Path, tmp_path: Path) -> None:
    for arguments, line in {
        ("g2", "Grace", labels): "No face belongs to this group",
        ("g1", "", labels): "A name needs a character",
        ("g1", "Grace", tmp_path / "none"): "There are no labels in this folder",
        ("g1", "Grace", tmp_path): "There are no labels in this folder",
    }.items():
        group, name, folder = arguments
        done = facerec("people", "name", group, name, "--labels", folder)
        assert (done.code, len(done.err)) == (1, 1)
        assert line in done.err[0]
    assert not gallery.exists()
