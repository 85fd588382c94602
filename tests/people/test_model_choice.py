"""The recognizer that a gallery was made with is found among several."""

from pathlib import Path

import pytest

from facerec.inference.errors import ModelFileError
from facerec.inference.recognizer import FaceRecognizer
from facerec.people.errors import StoreDamaged
from facerec.people.model_choice import embedding_of, recognizer_of_gallery
from facerec.people.samples import Box, Embedding, Sample, normalize
from facerec.people.store import PeopleStore
from tests.people.faces import sample, vector
from tests.toy_model import toy_graph, toy_metadata, write_model


def write_recognizer(path: Path, embedding_id: str | None, threshold: float = 0.8) -> Path:
    """A toy recognizer with an embedding of this name."""
    changes = {"embedding_id": embedding_id, "threshold": threshold}
    write_model(path, toy_graph(), toy_metadata().model_copy(update=changes))
    return path


def make_gallery(file: Path, embedding: Embedding) -> None:
    """A gallery with one person."""
    store = PeopleStore(file, embedding)
    store.add_person(
        "Anna", [Sample(normalize(vector(1)[: embedding.size]), 0.9, sample(1).picture_sha256, Box(1, 2, 3))]
    )
    store.close()


def test_the_file_is_found_by_its_embedding(tmp_path: Path, file: Path) -> None:
    first, second = (write_recognizer(tmp_path / f"{name}.onnx", name) for name in ("first", "second"))
    candidates = [tmp_path / "missing.onnx", first, second]
    assert recognizer_of_gallery(file, candidates) is None  # no gallery yet
    assert not file.parent.exists()
    make_gallery(file, Embedding("second", 3))
    assert recognizer_of_gallery(file, candidates) == second
    assert recognizer_of_gallery(file, [first]) is None


def test_no_file_is_loaded_without_a_gallery(tmp_path: Path, file: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    assert recognizer_of_gallery(file, [broken]) is None
    make_gallery(file, Embedding("second", 3))
    with pytest.raises(ModelFileError):
        recognizer_of_gallery(file, [broken])


def test_a_damaged_gallery_is_an_error(file: Path, tmp_path: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"this is no database, and it is long enough to be told apart from an empty one" * 20)
    with pytest.raises(StoreDamaged):
        recognizer_of_gallery(file, [write_recognizer(tmp_path / "toy.onnx", "toy")])


def test_a_recognizer_without_a_named_embedding_is_known_by_its_checksum(tmp_path: Path, file: Path) -> None:
    first, second = (write_recognizer(tmp_path / f"{value}.onnx", None, threshold=value) for value in (0.7, 0.8))
    recognizer = FaceRecognizer.load(second, threads=1)
    make_gallery(file, embedding_of(recognizer.metadata, recognizer.checksum))
    assert recognizer_of_gallery(file, [first, second]) == second
