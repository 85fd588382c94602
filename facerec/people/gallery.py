"""The people in memory, for matching: those of a store together with those whom a model knows."""

import threading
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from facerec.people.names import canonical_name
from facerec.people.reader import Changes, PeopleReader
from facerec.people.samples import Vector, normalize


class Known(NamedTuple):
    """A person whom a face can be matched with: an enrolled one, one of the model, or both."""

    name: str
    id: UUID | None
    """Of the enrolled person. `None` for one whom the model alone knows."""
    samples: int
    """Number of enrolled samples."""
    shipped: bool
    """Whether the model knows the person."""


class Match(NamedTuple):
    """A person whom a face resembles."""

    person: Known
    similarity: float
    """Cosine of the face's embedding and the person's template, -1 to 1."""


class Snapshot:
    """The people at one moment. It never changes.

    Attributes:
        people: everybody, P people: first those of the model in its order, then the others by name.
        templates: float32 `[P, D]`, L2-normalized, in the same order.
    """

    def __init__(self, people: tuple[Known, ...], templates: NDArray[np.float32]) -> None:
        self.people = people
        self.templates = templates
        self._columns = {person.name: column for column, person in enumerate(people)}

    def similarities(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cosines of faces and people, float32 `[N, P]`, for L2-normalized embeddings `[N, D]`."""
        return embeddings @ self.templates.T

    def match(self, embeddings: NDArray[np.float32], *, most: int) -> list[list[Match]]:
        """For each of N faces the people whom it resembles most, at most `most`, by falling similarity.

        The first is who the face may be, the second the runner-up. Whether the first is similar enough is the
        caller's to decide.

        Args:
            embeddings: float32 `[N, D]`, L2-normalized.
            most: number of people for each face.
        """
        similarities = self.similarities(embeddings)
        return [
            [Match(self.people[column], float(row[column])) for column in columns]
            for row, columns in zip(similarities, most_similar(similarities, most), strict=True)
        ]

    def template(self, name: str) -> Vector | None:
        """The template of the person with this name. `None` if there is nobody.

        Raises:
            NameNotAllowed: nobody can have the name.
        """
        column = self._columns.get(canonical_name(name))
        return None if column is None else self.templates[column]


def most_similar(similarities: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """The columns of the highest similarities of each row, by falling similarity: int64 `[N, min(P, most)]`.

    Sorting all people would take a millisecond for each face where there are 10,000.

    Args:
        similarities: float32 `[N, P]`.
        most: number of columns, at least 1.
    """
    people = similarities.shape[1]
    found = np.argpartition(-similarities, most - 1, axis=1)[:, :most] if most < people else np.arange(people)[None]
    values = np.take_along_axis(similarities, np.broadcast_to(found, (len(similarities), found.shape[1])), axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(np.broadcast_to(found, values.shape), order, axis=1)


class _Enrolled(NamedTuple):
    """What matching needs of an enrolled person."""

    name: str
    samples: int
    total: Vector
    """The sum of the samples' embeddings."""


class Gallery:
    """The people of a store and of a model in memory. Safe to use from several threads at once.

    The template of a person is the mean of the samples, L2-normalized. An enrolled person with the name of a shipped
    one is that person. Then the template is the mean of the samples and of the shipped direction, which counts as one
    more sample: it stands for many pictures, but those that are enrolled show the person as the service sees them, and
    are meant to make a difference.

    Args:
        store: keeps the enrolled people.
        shipped: L2-normalized directions, float32 `[D]`, of the people whom the model knows, by name. Give none to
            recognize nobody but those who are enrolled.

    Raises:
        StoreError: the store can't be read.
    """

    def __init__(self, store: PeopleReader, shipped: Mapping[str, Vector]) -> None:
        self._store = store
        self._shipped = {canonical_name(name): direction for name, direction in shipped.items()}
        self._enrolled: dict[UUID, _Enrolled] = {}
        self._total = 0
        self._lock = threading.Lock()
        self.snapshot = self._build()
        """The people as of the last `refresh`. Take it once for all that belongs together."""
        self.refresh()

    def refresh(self) -> bool:
        """Take over the changes of the store, and return whether there were any.

        Without changes this is a single look at the store. Call it after a change of one's own, and every second for
        the changes of others. If it fails, the snapshot stays as it is.

        Raises:
            StoreError: the store can't be read.
        """
        with self._lock:
            total = self._store.count_changes()
            if total == self._total:
                return False
            changes = self._store.changes_since(self._total)
            if changes.total < self._total or not self._follow(changes):
                # The store was restored from a backup, or replaced: everybody is read anew.
                self._enrolled = {}
                self._follow(changes := self._store.changes_since(0))
            self._total = changes.total
            self.snapshot = self._build()
            return True

    def _follow(self, changes: Changes) -> bool:
        """Take over changes, unless they are not those of the people who are known."""
        new = {
            person.id: _Enrolled(person.name, len(person.embeddings), person.embeddings.sum(axis=0))
            for person in changes.changed
        }
        known = self._enrolled | new
        if not known.keys() >= set(changes.ids):
            return False
        self._enrolled = {person_id: known[person_id] for person_id in changes.ids}
        return True

    def _build(self) -> Snapshot:
        """The snapshot of the people of today."""
        by_name = {person.name: person_id for person_id, person in self._enrolled.items()}
        people: list[Known] = []
        templates = np.zeros((len(self._shipped.keys() | by_name.keys()), self._store.embedding.size), np.float32)
        for name in [*self._shipped, *sorted(by_name.keys() - self._shipped.keys())]:
            person_id, direction = by_name.get(name), self._shipped.get(name)
            total = templates[len(people)]
            samples = 0
            if person_id is not None:
                _, samples, enrolled = self._enrolled[person_id]
                total += enrolled
            if direction is not None:
                total += direction
            people.append(Known(name, person_id, samples, shipped=direction is not None))
        return Snapshot(tuple(people), normalize(templates))
