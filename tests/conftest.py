"""A drawn data set and a network trained on it, made once and shared by all tests."""

from pathlib import Path

import pytest

from facerec.learning.options import Options
from tests.drawn_people import draw_people


@pytest.fixture(scope="session")
def drawn_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn people: 4 known with 6 to 8 pictures, 2 others, 20 strangers."""
    return draw_people(tmp_path_factory.mktemp("drawn") / "people", [8, 6, 6, 7, 3, 2] + [1] * 20)


@pytest.fixture(scope="session")
def small_options(drawn_people: Path) -> Options:
    """A training of seconds on the drawn people; nothing but its cache is written."""
    return Options(
        data=drawn_people,
        data_dir=drawn_people.parent / "data",
        min_images=5,
        weights="none",
        embedding_size=128,
        epochs=3,
        min_epoch_images=1,
        small_epochs=2,
        small_size=48,
        batch_size=12,
    )
