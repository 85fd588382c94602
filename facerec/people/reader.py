"""Read the people of a gallery from its database."""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, func, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from facerec.people.database import Database
from facerec.people.errors import StoreDamaged, StoreOfOtherModel, StoreOfOtherVersion, UnknownPerson
from facerec.people.names import canonical_name
from facerec.people.postgresql import PostgresqlDatabase
from facerec.people.samples import Box, Embedding, Person, Sample
from facerec.people.schema import SCHEMA_VERSION, gallery, people, samples
from facerec.people.sqlite import SqliteFile


class ChangedPerson(NamedTuple):
    """A person who was added or changed."""

    id: UUID
    name: str
    embeddings: NDArray[np.float32]
    """`[n, D]`, of the n samples."""


class Changes(NamedTuple):
    """How the people differ from those of an earlier state."""

    total: int
    """Number of changes up to the newer state."""
    changed: list[ChangedPerson]
    ids: Collection[UUID]
    """Everybody. Those who are missing were deleted or merged."""


class PeopleReader:
    """The people of a gallery. Safe to use from several threads and processes at once; do not share it across a fork.

    A gallery is bound to an embedding with its first person. It may be opened before there is anything, and where
    nothing can be written: then it is empty, and a change raises the error.

    Args:
        location: path of a SQLite file, or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`.
        embedding: of the model that is used.

    Raises:
        ValueError: the location is a URL of another form.
        StoreOfOtherModel: the people were enrolled with another model.
        StoreError: the store can't be read.
    """

    def __init__(self, location: str | Path, embedding: Embedding) -> None:
        self._database = open_database(location)
        self.embedding = embedding
        try:
            self.count_changes()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def count_changes(self) -> int:
        """The number of changes so far, which tells whether there are new ones.

        Raises:
            StoreError: the store can't be read, or was bound to another model meanwhile.
        """
        with self._read() as (_, count):
            return count

    def changes_since(self, count: int) -> Changes:
        """The changes after the first `count` ones. With 0 these are all people.

        Raises:
            StoreError: the store can't be read, or was bound to another model meanwhile.
        """
        with self._read() as (connection, newest):
            if connection is None:
                return Changes(0, [], [])
            ids = connection.scalars(select(people.c.id)).all()
            changed = people.c.changed > count
            rows = connection.execute(
                select(people.c.id, people.c.name, func.count(samples.c.id))
                .join(samples)
                .where(changed)
                .group_by(people.c.id)
                .order_by(people.c.id)
            ).all()
            blobs = connection.scalars(
                select(samples.c.embedding).join(people).where(changed).order_by(people.c.id, samples.c.id)
            ).all()
            embeddings = self._vectors(blobs)
        ends = np.cumsum([number for _, _, number in rows], dtype=int)
        parts = np.split(embeddings, ends[:-1]) if rows else []
        people_changed = [ChangedPerson(id_, name, part) for (id_, name, _), part in zip(rows, parts, strict=True)]
        return Changes(newest, people_changed, ids)

    def person(self, person_id: UUID) -> Person:
        """A person with all samples.

        Raises:
            UnknownPerson: nobody has this id.
            StoreError: the store can't be read.
        """
        with self._read() as (connection, _):
            if connection is None:
                raise UnknownPerson
            found = connection.execute(select(people).where(people.c.id == person_id)).one_or_none()
            if found is None:
                raise UnknownPerson
            return self._person(connection, found)

    def everybody(self) -> list[Person]:
        """Everybody with all samples, by name, at one moment.

        Raises:
            StoreError: the store can't be read.
        """
        with self._read() as (connection, _):
            if connection is None:
                return []
            rows = connection.execute(select(people).order_by(people.c.name)).all()
            return [self._person(connection, row) for row in rows]

    def find(self, name: str) -> UUID | None:
        """The id of the person with this name. `None` if nobody has it.

        Raises:
            NameNotAllowed: nobody can have it.
            StoreError: the store can't be read.
        """
        canonical = canonical_name(name)
        with self._read() as (connection, _):
            return find_name(connection, canonical) if connection else None

    @contextmanager
    def _read(self) -> Iterator[tuple[Connection | None, int]]:
        """A transaction that reads, and the number of changes so far. `None` and 0 if there is no gallery yet."""
        with _read_tables(self._database) as connection:
            yield connection, self._check(read_binding(connection))

    def _check(self, binding: Row[Any] | None) -> int:
        """The number of changes of a gallery that fits the model. 0 if there is none yet."""
        if binding is None:
            return 0
        if (binding.embedding_id, binding.embedding_size) != self.embedding:
            raise StoreOfOtherModel
        return int(binding.changes)

    def _person(self, connection: Connection, found: Row[Any]) -> Person:
        """The person of a row of `people`."""
        query = select(samples).where(samples.c.person_id == found.id).order_by(samples.c.created, samples.c.id)
        rows = connection.execute(query).all()
        vectors = self._vectors([row.embedding for row in rows])
        stored = tuple(_sample(row, vector) for row, vector in zip(rows, vectors, strict=True))
        return Person(found.id, found.name, datetime.fromtimestamp(found.created, UTC), stored)

    def _vectors(self, blobs: Sequence[bytes]) -> NDArray[np.float32]:
        """The stored embeddings, `[n, D]`."""
        size = self.embedding.size
        if any(len(blob) != 4 * size for blob in blobs):
            raise StoreDamaged(reason="an embedding is cut off")
        return np.frombuffer(b"".join(blobs), "<f4").reshape(-1, size).astype(np.float32)


def open_database(location: str | Path) -> Database:
    """The database at a location, see `PeopleStore`.

    Raises:
        ValueError: the location is a URL of another form, or a folder.
    """
    if "://" not in str(location):
        path = Path(location)
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where it may not be looked at
            raise ValueError(
                f"a gallery is a SQLite file, and {path} is a folder: `facerec people add` enrols its people"
            )
        return SqliteFile(path)
    try:
        url = make_url(str(location))
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername != "postgresql+psycopg":
        raise ValueError("a gallery is the path of a SQLite file or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE")
    return PostgresqlDatabase(url)


def stored_embedding(location: str | Path) -> Embedding | None:
    """The embedding that the gallery at a location is bound to. `None` if it has none yet.

    Raises:
        ValueError: the location is a URL of another form.
        StoreError: the store can't be read.
    """
    database = open_database(location)
    try:
        with _read_tables(database) as connection:
            binding = read_binding(connection)
    finally:
        database.close()
    return binding and Embedding(binding.embedding_id, binding.embedding_size)


@contextmanager
def _read_tables(database: Database) -> Iterator[Connection | None]:
    """A transaction that reads, or `None` if there is no database yet, or one without tables."""
    if not database.exists():
        yield None
        return
    with database.read() as connection:
        yield connection if inspect(connection).has_table(gallery.name) else None


def read_binding(connection: Connection | None) -> Row[Any] | None:
    """The only row of `gallery`."""
    if connection is None:
        return None
    row = connection.execute(select(gallery)).one_or_none()
    if row is None:
        raise StoreDamaged(reason="the table gallery is empty")
    if row.schema_version != SCHEMA_VERSION:
        raise StoreOfOtherVersion
    return row


def find_name(connection: Connection, canonical: str) -> UUID | None:
    """The id of the person with a name in the form of `canonical_name`."""
    return connection.scalars(select(people.c.id).where(people.c.name == canonical)).one_or_none()


def _sample(row: Row[Any], embedding: NDArray[np.float32]) -> Sample:
    """The sample of a row."""
    box = Box(row.x, row.y, row.size)
    return Sample(embedding, row.quality, row.picture_sha256, box, datetime.fromtimestamp(row.created, UTC), row.id)
