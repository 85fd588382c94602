"""Galleries in both kinds of database: tests that take `location` run on a SQLite file and on a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from facerec.people.store import PeopleStore
from tests.people.faces import EMBEDDING


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The location of a SQLite file that isn't there yet."""
    return tmp_path / "people" / "gallery.sqlite"


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest) -> str:
    """The location of an empty gallery, of each kind in turn."""
    return str(request.getfixturevalue("file" if request.param == "sqlite" else "database_url"))


@pytest.fixture
def store(location: str) -> Iterator[PeopleStore]:
    """An empty gallery."""
    store = PeopleStore(location, EMBEDDING)
    yield store
    store.close()
