"""`facerec.label`, with the shipped models."""

import shutil
from pathlib import Path

import psutil
import pytest

import facerec
from facerec.inference.model_file import shipped_recognizers
from facerec.labelling.rows import label_schema
from facerec.people.location import VARIABLE
from tests.harness import picture
from tests.training.landmarks.photograph import photograph


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photos with a face, one without, and a damaged one. Nobody is enrolled."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "people.sqlite"))
    monkeypatch.delenv("FACEREC_MODEL", raising=False)
    (folder := tmp_path / "photos").mkdir()
    photograph().save(folder / "a.jpg")
    shutil.copy(folder / "a.jpg", folder / "b.jpg")
    (folder / "c.png").write_bytes(picture())
    (folder / "d.jpg").write_bytes(b"no picture")
    return folder


def workers() -> list[psutil.Process]:
    """The worker processes of this process."""
    return [each for each in psutil.Process().children() if "facerec.inference.worker" in each.cmdline()]


def test_it_gives_a_row_for_each_face_and_picture(photos: Path) -> None:
    before = workers()
    batches = list(facerec.label(photos, workers=1, shipped_people=False))
    assert all(batch.schema == label_schema(batch.schema.field("embedding").type.list_size) for batch in batches)
    rows = {Path(row["path"]).name: row for batch in batches for row in batch.to_pylist()}
    assert {name: (row["face"], row["identity"], row["error_code"]) for name, row in rows.items()} == {
        "a.jpg": (0, None, None),
        "b.jpg": (0, None, None),
        "c.png": (None, None, None),
        "d.jpg": (None, None, "unsupported_picture"),
    }
    (face,) = facerec.Recognizer.load(model="accurate", shipped_people=False).recognize(photos / "a.jpg")
    assert rows["a.jpg"]["embedding"] == pytest.approx(face.embedding, abs=1e-4)
    assert workers() == before


def test_closing_it_ends_the_processes(photos: Path) -> None:
    before = workers()
    batches = facerec.label(photos, model=shipped_recognizers()["default"], workers=2)
    assert workers() == before
    next(batches)
    assert len(workers()) == len(before) + 2
    batches.close()
    assert workers() == before


def test_a_path_that_can_not_be_searched_is_a_warning(photos: Path) -> None:
    with pytest.warns(UserWarning, match="nowhere: There is no such file or folder"):
        batches = list(facerec.label([photos / "c.png", photos / "nowhere"], model="default", workers=1))
    assert sum(map(len, batches)) == 1


def test_a_gallery_that_can_not_be_used_is_an_error_at_once(photos: Path) -> None:
    with pytest.raises(ValueError, match="a gallery is the path of a SQLite file or"):
        facerec.label(photos, gallery="mysql://host/database")
