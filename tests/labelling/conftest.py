"""Toy models for labelling, and worker processes that have loaded them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from facerec.inference.jobs import WorkerOptions
from facerec.labelling.archive import People
from facerec.labelling.labeller import Labeller
from facerec.labelling.matching import Matcher
from facerec.labelling.part_file import Origin
from tests.labelling.toy_archive import toy_options


@pytest.fixture(scope="session")
def options(model: Path, detector: Path, landmarks: Path) -> WorkerOptions:
    return toy_options(model, detector, landmarks)


@pytest.fixture(scope="session")
def labeller(options: WorkerOptions) -> Iterator[Labeller]:
    """Two worker processes."""
    with Labeller(options, workers=2) as labeller:
        yield labeller


@pytest.fixture(scope="session")
def matcher(labeller: Labeller, tmp_path_factory: pytest.TempPathFactory) -> Matcher:
    """Matches faces with the toy's three people."""
    return People(gallery=tmp_path_factory.mktemp("nobody") / "people.sqlite").matcher(labeller.models)


@pytest.fixture
def origin(labeller: Labeller, matcher: Matcher) -> Origin:
    return Origin.of(labeller.models, matcher.checksum)
