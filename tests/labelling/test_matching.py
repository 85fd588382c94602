from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec.inference.jobs import LoadedModels
from facerec.labelling.labeller import Labeller
from facerec.labelling.matching import Match, load_matcher
from facerec.people import identification
from facerec.people.errors import StoreOfOtherModel
from facerec.people.gallery import Snapshot
from facerec.people.model_choice import embedding_of
from facerec.people.samples import Embedding, Sample, Vector, normalize
from facerec.people.store import PeopleStore
from tests.people.faces import BOX

WHITE = normalize(np.ones(3, np.float32))
RED = np.eye(3, dtype=np.float32)[0]


@pytest.fixture
def models(labeller: Labeller) -> LoadedModels:
    return labeller.models


@pytest.fixture
def location(tmp_path: Path) -> Path:
    """A gallery that isn't there yet."""
    return tmp_path / "people.sqlite"


@pytest.fixture
def enrol(location: Path, models: LoadedModels) -> Callable[[str, Vector], str]:
    """Adds a person to the gallery, and returns the id."""

    def add(name: str, embedding: Vector) -> str:
        store = PeopleStore(location, embedding_of(models.recognizer, models.recognizer_checksum))
        try:
            return str(store.add_person(name, [Sample(embedding, 0.9, name, BOX)]))
        finally:
            store.close()

    return add


def test_a_face_has_the_identity_of_the_gallery_and_a_runner_up(
    models: LoadedModels, location: Path, enrol: Callable[[str, Vector], str]
) -> None:
    id_ = enrol("White", WHITE)
    matcher = load_matcher(models, location, shipped_people=True, threshold=None)
    white, red, grey = matcher.match(np.stack([WHITE, RED, normalize(np.array([1, -1, -1], np.float32))]))
    assert (white.identity, white.person_id) == ("White", id_)
    assert white.similarity == pytest.approx(1)
    assert white.runner_up in {"Rosa Red", "Gustav Green", "Bella Blue"}
    assert white.runner_up_similarity == pytest.approx(3**-0.5)
    assert white.threshold == models.recognizer.threshold
    assert (red.identity, red.person_id, red.runner_up) == ("Rosa Red", None, "White")
    assert (grey.identity, grey.person_id, grey.runner_up) == (None, None, "White")
    assert grey.similarity == pytest.approx(3**-0.5)


def test_many_faces_are_matched_some_at_a_time(
    models: LoadedModels, location: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The similarities of 10,000 faces with 100,000 people would take 20 GB."""
    matcher = load_matcher(models, location, shipped_people=True, threshold=None)
    faces = np.stack([WHITE, RED, WHITE, RED, WHITE])
    at_once = matcher.match(faces)
    sizes: list[int] = []
    similarities = Snapshot.similarities

    def measured(snapshot: Snapshot, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(len(embeddings) * len(snapshot.people))
        return similarities(snapshot, embeddings)

    monkeypatch.setattr(Snapshot, "similarities", measured)
    monkeypatch.setattr(identification, "_MAX_SIMILARITIES", 7)
    assert matcher.match(faces) == at_once
    assert sizes == [6, 6, 3]


def test_nobody_is_known(models: LoadedModels, location: Path) -> None:
    matcher = load_matcher(models, location, shipped_people=False, threshold=0.3)
    assert matcher.match(RED[None]) == [Match(None, None, None, 0.3, None, None, None)]


def test_one_person_is_known(models: LoadedModels, location: Path, enrol: Callable[[str, Vector], str]) -> None:
    enrol("White", WHITE)
    matcher = load_matcher(models, location, shipped_people=False, threshold=None)
    (match,) = matcher.match(WHITE[None])
    assert (match.identity, match.runner_up, match.runner_up_similarity) == ("White", None, None)


def test_the_checksum_changes_with_all_that_decides(
    models: LoadedModels, location: Path, enrol: Callable[[str, Vector], str]
) -> None:
    def checksum(threshold: float | None = None, *, shipped_people: bool = True) -> str:
        return load_matcher(models, location, shipped_people=shipped_people, threshold=threshold).checksum

    first = checksum()
    assert checksum() == first
    assert len({first, checksum(0.3), checksum(shipped_people=False)}) == 3
    enrol("White", WHITE)
    second = checksum()
    enrol("Black", -WHITE)
    assert len({first, second, checksum()}) == 3


def test_a_gallery_of_another_model_is_refused(models: LoadedModels, location: Path) -> None:
    store = PeopleStore(location, Embedding("another", 3))
    store.add_person("Ada", [Sample(RED, 0.9, "ada", BOX)])
    store.close()
    with pytest.raises(StoreOfOtherModel):
        load_matcher(models, location, shipped_people=True, threshold=None)
