"""Change the people of a gallery in its database. Each change is made whole, or not at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, delete, exists, insert, inspect, select, update

from facerec.people import schema
from facerec.people.errors import AlreadyEnrolled, NameTaken, UnknownPerson, UnknownSample
from facerec.people.names import canonical_name
from facerec.people.reader import PeopleReader, find_name, read_binding
from facerec.people.samples import Sample
from facerec.people.schema import SCHEMA_VERSION, gallery, people, samples

_FACE = (samples.c.picture_sha256, samples.c.x, samples.c.y, samples.c.size)
"""The columns that tell which face of which picture a sample is."""


class PeopleStore(PeopleReader):
    """The people of a gallery, to be read and changed. Everybody has at least one sample.

    A change has happened when its method returns. Changes wait for each other, so that of two that add the same name
    one wins. An error leaves everything as it was, or where a connection is lost at the end, all is changed.
    """

    def add_person(self, name: str, new_samples: Sequence[Sample]) -> UUID:
        """Add a person with at least one sample, and return the id.

        Raises:
            ValueError: there is no sample, or one has an embedding of another size.
            NameNotAllowed: see `canonical_name`.
            NameTaken: somebody has the name.
            AlreadyEnrolled: two of the samples are the same face.
            StoreError: the store can't be changed.
        """
        canonical, person_id = canonical_name(name), uuid4()
        if not new_samples:
            raise ValueError("a person needs a sample")
        self._check_shapes(new_samples)
        with self._change() as (connection, change):
            if other := find_name(connection, canonical):
                raise NameTaken.by(other)
            person = {"id": person_id, "name": canonical, "created": datetime.now(UTC).timestamp(), "changed": change}
            connection.execute(insert(people).values(person))
            _insert(connection, person_id, new_samples)
        return person_id

    def add_samples(self, person_id: UUID, new_samples: Sequence[Sample]) -> None:
        """Add samples to a person.

        Raises:
            ValueError: one of the samples has an embedding of another size.
            UnknownPerson: nobody has this id.
            AlreadyEnrolled: one of the samples is the person's already, or two are the same face.
            StoreError: the store can't be changed.
        """
        self._check_shapes(new_samples)
        with self._change() as (connection, change):
            _mark_changed(connection, person_id, change)
            _insert(connection, person_id, new_samples)

    def remove_sample(self, person_id: UUID, sample_id: UUID) -> None:
        """Remove a sample of a person. With the last one the person is deleted.

        Raises:
            UnknownPerson: nobody has this id.
            UnknownSample: the person has no such sample.
            StoreError: the store can't be changed.
        """
        with self._change(erase=True) as (connection, change):
            _mark_changed(connection, person_id, change)
            one = (samples.c.id == sample_id) & (samples.c.person_id == person_id)
            if not connection.execute(delete(samples).where(one)).rowcount:
                raise UnknownSample
            _delete_if_empty(connection, person_id)

    def move_sample(self, person_id: UUID, sample_id: UUID, to: UUID) -> None:
        """Move a sample of a person to the person with the id `to`. With the last one the first is deleted.

        Raises:
            UnknownPerson: nobody has one of the ids.
            UnknownSample: the person has no such sample.
            AlreadyEnrolled: the other person has a sample of the same face.
            StoreError: the store can't be changed.
        """
        with self._change(erase=True) as (connection, change):
            _mark_changed(connection, person_id, change)
            _mark_changed(connection, to, change)
            one = (samples.c.id == sample_id) & (samples.c.person_id == person_id)
            moved = connection.execute(select(*_FACE).where(one)).one_or_none()
            if moved is None:
                raise UnknownSample
            if person_id != to and tuple(moved) in _faces(connection, to):
                raise AlreadyEnrolled
            connection.execute(update(samples).where(one).values(person_id=to))
            _delete_if_empty(connection, person_id)

    def rename(self, person_id: UUID, name: str) -> None:
        """Give a person another name.

        Raises:
            UnknownPerson: nobody has this id.
            NameNotAllowed: see `canonical_name`.
            NameTaken: another person has the name.
            StoreError: the store can't be changed.
        """
        canonical = canonical_name(name)
        with self._change(erase=True) as (connection, change):
            _mark_changed(connection, person_id, change)
            if (other := find_name(connection, canonical)) and other != person_id:
                raise NameTaken.by(other)
            connection.execute(update(people).where(people.c.id == person_id).values(name=canonical))

    def merge(self, person_id: UUID, into: UUID) -> None:
        """Give the samples of a person to the person with the id `into`, and delete the first.

        Of samples of the same face, one is kept. Merging a person with itself changes nothing.

        Raises:
            UnknownPerson: nobody has one of the ids.
            StoreError: the store can't be changed.
        """
        with self._change(erase=True) as (connection, change):
            _mark_changed(connection, person_id, change)
            _mark_changed(connection, into, change)
            if person_id == into:
                return
            other = samples.alias()
            same = [column == other.c[column.name] for column in _FACE]
            twice = exists().where(other.c.person_id == into, *same)
            connection.execute(delete(samples).where(samples.c.person_id == person_id, twice))
            connection.execute(update(samples).where(samples.c.person_id == person_id).values(person_id=into))
            connection.execute(delete(people).where(people.c.id == person_id))

    def delete_person(self, person_id: UUID) -> None:
        """Delete a person with all samples. Nothing is left of them in a SQLite file.

        Raises:
            UnknownPerson: nobody has this id.
            StoreError: the store can't be changed.
        """
        with self._change(erase=True) as (connection, _):
            if not connection.execute(delete(people).where(people.c.id == person_id)).rowcount:
                raise UnknownPerson

    @contextmanager
    def _change(self, *, erase: bool = False) -> Iterator[tuple[Connection, int]]:
        """A transaction that changes the gallery, and the number of this change.

        Args:
            erase: whether rows are deleted, which then shall leave nothing in the files.
        """
        with self._database.write() as connection:
            if not inspect(connection).has_table(gallery.name):
                schema.metadata.create_all(connection)
                binding = {"id": 1, "schema_version": SCHEMA_VERSION, "changes": 0}
                id_, size = self.embedding
                connection.execute(insert(gallery).values(binding | {"embedding_id": id_, "embedding_size": size}))
            self._check(read_binding(connection))
            count = update(gallery).values(changes=gallery.c.changes + 1).returning(gallery.c.changes)
            yield connection, connection.scalars(count).one()
        if erase:
            self._database.erase_deleted()

    def _check_shapes(self, new_samples: Sequence[Sample]) -> None:
        """Raise ValueError unless all embeddings have the gallery's size."""
        for sample in new_samples:
            if sample.embedding.shape != (self.embedding.size,):
                raise ValueError(f"an embedding of {self.embedding.size} values has shape {sample.embedding.shape}")


def _insert(connection: Connection, person_id: UUID, new_samples: Sequence[Sample]) -> None:
    """Insert samples, unless the person has one of them."""
    present = _faces(connection, person_id)
    for sample in new_samples:
        if (face := (sample.picture_sha256, *sample.box)) in present:
            raise AlreadyEnrolled
        present.add(face)
    if new_samples:  # without any, SQLAlchemy would insert a row of defaults
        connection.execute(insert(samples), [_values(sample, person_id) for sample in new_samples])


def _mark_changed(connection: Connection, person_id: UUID, change: int) -> None:
    """Note the change of a person, and make sure that there is this person."""
    if not connection.execute(update(people).where(people.c.id == person_id).values(changed=change)).rowcount:
        raise UnknownPerson


def _delete_if_empty(connection: Connection, person_id: UUID) -> None:
    """Delete a person who has no samples any more."""
    left = exists().where(samples.c.person_id == person_id)
    connection.execute(delete(people).where(people.c.id == person_id, ~left))


def _faces(connection: Connection, person_id: UUID) -> set[tuple[Any, ...]]:
    """Which faces of which pictures the samples of a person are."""
    return {tuple(row) for row in connection.execute(select(*_FACE).where(samples.c.person_id == person_id))}


def _values(sample: Sample, person_id: UUID) -> dict[str, object]:
    """The row of a sample."""
    return {
        "id": sample.id,
        "person_id": person_id,
        "embedding": sample.embedding.astype("<f4").tobytes(),
        "quality": sample.quality,
        "created": sample.created.timestamp(),
        "picture_sha256": sample.picture_sha256,
        **sample.box._asdict(),
    }
