"""The Python API, on real faces."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import facerec
from facerec import Recognizer
from facerec.commands.enrolment import Enrolment
from facerec.inference.model_file import shipped_recognizers
from facerec.models import load_pipeline
from facerec.people.enrolment import Portrait
from facerec.people.errors import NoFace, StoreOfOtherModel
from facerec.people.location import VARIABLE
from facerec.people.model_choice import embedding_of
from facerec.people.store import PeopleStore
from facerec.pictures.decode import PictureFile
from facerec.pictures.errors import PictureTooCostly, UnsupportedPicture
from facerec.training.archive import extract
from tests.harness import picture
from tests.people.faces import EMBEDDING, sample
from tests.shipped import LFW, ROOT, needs_lfw
from tests.training.landmarks.photograph import HOPPER, HOPPER_POINTS, photograph


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """The location of an empty gallery."""
    return tmp_path / "people.sqlite"


@pytest.fixture
def recognizer(gallery: Path) -> Iterator[Recognizer]:
    """The accurate model, on the empty gallery."""
    with closing(Recognizer.load(model="accurate", gallery=gallery)) as recognizer:
        yield recognizer


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph of Grace Hopper."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    photograph().save(path, quality=95)
    return path


@pytest.mark.parametrize("name", facerec.__all__)
def test_what_is_public_can_be_imported(name: str) -> None:
    assert getattr(facerec, name)


def enrol(gallery: Path, name: str, path: Path) -> None:
    """Enrol a picture, as the command line does."""
    pipeline = load_pipeline(shipped_recognizers()["accurate"])
    model = pipeline.recognizer
    with closing(PeopleStore(gallery, embedding_of(model.metadata, model.checksum))) as store:
        enrolment = Enrolment(pipeline, store, force=False)
        seen = enrolment.look(path, frozenset())
        assert not isinstance(seen, str | None)
        assert enrolment.enrol(name, [Portrait(seen, None)]).samples


def test_a_face_is_described(recognizer: Recognizer, photo: Path) -> None:
    (face,) = recognizer.recognize(photo)
    left, top, width, height = face.box
    assert np.allclose((left + width / 2, top + height / 2), (HOPPER.x, HOPPER.y), atol=25)
    assert np.isclose(width, HOPPER.size, rtol=0.25)
    assert face.landmarks is not None
    assert np.allclose(face.landmarks, HOPPER_POINTS, atol=12)
    assert abs(face.angle) < 20
    assert 0.5 < face.score <= 1
    assert face.embedding.dtype == np.float32
    assert face.embedding.shape == (128,)
    assert np.isclose(np.linalg.norm(face.embedding), 1)
    # She is none of the people whom the model knows.
    assert face.identity is None
    assert face.similarity is not None
    assert face.similarity < face.threshold
    assert len(face.candidates) == 5
    similarities = [candidate.similarity for candidate in face.candidates]
    assert similarities == sorted(similarities, reverse=True)
    assert similarities[0] == face.similarity
    assert 0 < sum(candidate.probability for candidate in face.candidates) <= 1


def test_people_who_are_enrolled_meanwhile_are_recognized(recognizer: Recognizer, photo: Path, gallery: Path) -> None:
    enrol(gallery, "Grace_Hopper", photo)
    (face,) = recognizer.recognize(photo.read_bytes(), candidates=1)
    assert face.identity == "Grace Hopper"
    assert [candidate.name for candidate in face.candidates] == ["Grace Hopper"]
    assert face.similarity == pytest.approx(1, abs=1e-4)
    with closing(Recognizer.load(gallery=gallery, shipped_people=False)) as other:  # with the gallery's model
        assert [each.identity for each in other.recognize(str(photo))] == ["Grace Hopper"]
        assert len(other.recognize(photo)[0].candidates) == 1
        assert other.recognize(photo, candidates=0)[0].identity == "Grace Hopper"


def test_where_nobody_is_known_faces_are_found_all_the_same(gallery: Path, photo: Path) -> None:
    with closing(Recognizer.load(model="accurate", gallery=gallery, shipped_people=False)) as recognizer:
        (face,) = recognizer.recognize(photo)
    assert (face.identity, face.similarity, face.candidates) == (None, None, ())
    assert not gallery.exists()


def test_a_threshold_that_is_given_is_taken(gallery: Path, photo: Path) -> None:
    with closing(Recognizer.load(model="accurate", gallery=gallery, threshold=-1)) as recognizer:
        (face,) = recognizer.recognize(photo)
        assert face.threshold == -1
        assert face.identity == face.candidates[0].name
        answer = recognizer.verify(photo, photo)
        assert (answer.threshold, answer.false_accept_rate) == (-1, None)
    for threshold in (1.1, float("nan")):
        with pytest.raises(ValueError, match="a threshold is a cosine"):
            Recognizer.load(threshold=threshold, gallery=gallery)


def test_two_pictures_are_compared(recognizer: Recognizer, photo: Path, tmp_path: Path) -> None:
    answer = recognizer.verify(photo, photo.read_bytes())
    assert answer.same_person
    assert answer.similarity == pytest.approx(1, abs=1e-4)
    assert answer.similarity >= answer.threshold
    assert answer.false_accept_rate == 0.01
    with pytest.raises(NoFace, match=r"^second picture: No face"):
        recognizer.verify(photo, picture(size=(200, 200)))


def test_errors_are_typed(recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        recognizer.recognize(tmp_path / "gone.jpg")
    with pytest.raises(UnsupportedPicture):
        recognizer.recognize(b"no picture")
    assert recognizer.recognize(picture(size=(200, 200))) == []
    with monkeypatch.context() as patch:
        patch.setattr(PictureFile, "decode", lambda *_, **__: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(PictureTooCostly):
            recognizer.recognize(picture(size=(200, 200)))
    with pytest.raises(ValueError, match="a gallery is the path"):
        Recognizer.load(gallery="mysql://host/database")
    with closing(PeopleStore(tmp_path / "other.sqlite", EMBEDDING)) as store:
        store.add_person("Ada", [sample(1)])
    with pytest.raises(StoreOfOtherModel):
        Recognizer.load(gallery=tmp_path / "other.sqlite")
    with pytest.raises(AttributeError, match="no attribute 'Detector'"):
        facerec.Detector  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, facerec; sys.exit(', '.join({'numpy', 'onnxruntime', 'sqlalchemy'} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_documents_lines_run(photo: Path, gallery: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    blocks += re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
    (photos := photo.parent / "photos").mkdir()
    shutil.copy(photo, photos)
    environment = os.environ | {"PYTHONPATH": str(ROOT), VARIABLE: str(gallery), "FACEREC_MODEL": "accurate"}
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block],
            cwd=photo.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        recognized = r"None 0\.\d+ \(\d+, \d+, \d+, \d+\)\n" if "recognizer.recognize(" in block else ""
        labelled = rf"{photos}/{photo.name} None 0\.\d+\n" if "facerec.label(" in block else ""
        assert re.fullmatch(recognized + labelled, done.stdout)


@needs_lfw
def test_known_people_of_the_data_set_are_named(recognizer: Recognizer) -> None:
    people = next(extract(LFW, ROOT / "data").glob("*funneled"))
    named = {
        name: [recognizer.recognize(path)[0].identity for path in sorted((people / name).glob("*.jpg"))[-5:]].count(
            name.replace("_", " ")
        )
        for name in ("Serena_Williams", "Tony_Blair", "Jennifer_Capriati")
    }
    assert all(count >= 4 for count in named.values()), named
