"""The people of the service: whose faces they are, and changes of the gallery."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import NamedTuple, ParamSpec, TypeVar
from uuid import UUID

from facerec.errors import raised_at
from facerec.inference.jobs import LoadedModels
from facerec.inference.results import PictureResult
from facerec.people.enrolment import Portrait, select_samples
from facerec.people.errors import NameTaken, StoreError, UnknownPerson
from facerec.people.gallery import Gallery, Snapshot
from facerec.people.identification import Identification, Identifier
from facerec.people.model_choice import embedding_of
from facerec.people.samples import Box, Person, Vector
from facerec.people.store import PeopleStore
from facerec.pictures.bounded_pool import BoundedPool
from facerec.serving.errors import PicturesRefused, ServerError, ServiceError
from facerec.serving.log import log_line
from facerec.serving.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

MAX_CANDIDATES = 200
"""Most candidates of a face that are given. A batch may have hundreds of faces, and all others wait for its answer."""
CANDIDATES = 50
"""People that an answer lists for a face whose request doesn't say how many."""
_THREADS = 4
"""Threads that read and change the store."""
_QUEUE_SIZE = 32
"""Calls of the store that may be queued for a thread."""
_REFRESH_SECONDS = 1
"""Seconds between two looks for changes that other replicas have made."""


class Enrolment(NamedTuple):
    """A person to whom samples were added."""

    person: Person
    refused: Mapping[int, ServiceError]
    """Why pictures gave no sample, by their index."""


class PeopleService:
    """The people whom the service knows.

    Faces are matched with a gallery in memory. Calls of the store, which can block, run in a few threads.

    Args:
        settings: the operator's settings.
        models: the models that are loaded.

    Raises:
        StoreError: the gallery can't be read, or was made with another model.

    Attributes:
        embedding: of the recognizer.
        slots: one for each call of the store that is running or queued.
    """

    def __init__(self, settings: Settings, models: LoadedModels) -> None:
        metadata = models.recognizer
        names = [person.name for person in metadata.people]
        self.embedding = embedding_of(metadata, models.recognizer_checksum)
        self._store = PeopleStore(settings.gallery, self.embedding)
        try:
            shipped = dict(zip(names, models.directions, strict=True)) if settings.shipped_people else {}
            self._gallery = Gallery(self._store, shipped)
        except BaseException:
            self._store.close()
            raise
        self._identifier = Identifier(metadata, settings.threshold)
        self._sample_threshold = metadata.threshold
        self._pool = BoundedPool("gallery", threads=_THREADS, queue_size=_QUEUE_SIZE)
        self.slots = self._pool.slots

    @property
    def snapshot(self) -> Snapshot:
        """Everybody at this moment. Take it once for all that belongs together."""
        return self._gallery.snapshot

    @property
    def threshold(self) -> float:
        """The similarity below which a face belongs to nobody who is known."""
        return self._identifier.threshold(self.snapshot)

    def identify(self, result: PictureResult, *, top_k: int | None) -> list[Identification]:
        """Whose the faces of a picture are, in the order of `result.embeddings`.

        Args:
            result: has at least one face, or the picture's centre.
            top_k: number of candidates for each face, of which `MAX_CANDIDATES` are given at most. `None` takes
                `CANDIDATES`.
        """
        assert result.embeddings is not None
        most = min(top_k or CANDIDATES, MAX_CANDIDATES)
        return self._identifier.identify(result.embeddings, self.snapshot, most=most)

    def verification_threshold(self, samples: int) -> float:
        """See `Identifier.verification_threshold`."""
        return self._identifier.verification_threshold(samples)

    @property
    def false_accept_rate(self) -> float | None:
        """See `Identifier.false_accept_rate`."""
        return self._identifier.false_accept_rate

    def template(self, person_id: UUID) -> tuple[Vector, int]:
        """What faces are compared with for an enrolled person, and the number of samples: 0 if the model knows them.

        Raises:
            UnknownPerson: nobody has this id.
        """
        snapshot = self.snapshot
        for person, template in zip(snapshot.people, snapshot.templates, strict=True):
            if person.id == person_id:
                return template, 0 if person.shipped else person.samples
        raise UnknownPerson

    async def person(self, person_id: UUID) -> Person:
        """An enrolled person.

        Raises:
            UnknownPerson: nobody has this id.
            StoreError: the store can't be read.
            PoolFull: too many calls of the store are queued.
        """
        return await self._pool.run(self._store.person, person_id)

    async def enrol(
        self,
        who: str | UUID,
        pictures: Sequence[PictureResult | ServiceError],
        *,
        box: Box | None,
        force: bool,
    ) -> Enrolment:
        """Add samples to a person.

        Args:
            who: name of a new person, or the id of one who is enrolled.
            pictures: each with the faces that were found, or why it can't be used.
            box: where the person's face is in the only picture. `None` if the pictures show nobody else.
            force: take faces that are unlike the person's others, or very like another person.

        Raises:
            ServiceError: no picture gives a sample.
            GalleryError, StoreError: the store can't be changed like this.
            PoolFull: too many calls of the store are queued.
        """
        return await self._pool.run(self._enrol, who, pictures, box, force=force)

    def _enrol(
        self, who: str | UUID, pictures: Sequence[PictureResult | ServiceError], box: Box | None, *, force: bool
    ) -> Enrolment:
        person = self._store.person(who) if isinstance(who, UUID) else None
        usable = {index: Portrait(each, box) for index, each in enumerate(pictures) if isinstance(each, PictureResult)}
        refused = {index: each for index, each in enumerate(pictures) if isinstance(each, ServiceError)}
        selection = select_samples(
            [*usable.values()],
            person.name if person else str(who),
            own=person.samples if person else (),
            snapshot=self.snapshot,
            threshold=self._sample_threshold,
            force=force,
        )
        for number, index in enumerate(usable):
            if error := selection.refused.get(number):
                refused[index] = ServiceError.wrapping(error)
        if not selection.samples:
            raise _reason(refused)
        if isinstance(who, UUID):
            self._store.add_samples(who, selection.samples)
        else:
            who = self._store.add_person(who, selection.samples)
        self._refresh()
        return Enrolment(self._store.person(who), refused)

    async def rename(self, person_id: UUID, name: str, *, merge: bool) -> Person:
        """Give a person another name. With `merge`, a name that is taken makes the two one person, who is the result.

        Raises:
            GalleryError, StoreError: the store can't be changed like this.
            PoolFull: too many calls of the store are queued.
        """

        def change() -> Person:
            kept = person_id
            try:
                self._store.rename(person_id, name)
            except NameTaken as error:
                if not (merge and error.person_id):
                    raise
                kept = error.person_id
                self._store.merge(person_id, kept)
            self._refresh()
            return self._store.person(kept)

        return await self._pool.run(change)

    async def remove_sample(self, person_id: UUID, sample_id: UUID) -> None:
        """Remove a sample of a person. See `PeopleStore.remove_sample` for this and its errors."""
        await self._change(self._store.remove_sample, person_id, sample_id)

    async def move_sample(self, person_id: UUID, sample_id: UUID, to: UUID) -> None:
        """Move a sample of a person to another. See `PeopleStore.move_sample` for this and its errors."""
        await self._change(self._store.move_sample, person_id, sample_id, to)

    async def delete_person(self, person_id: UUID) -> None:
        """Delete a person. See `PeopleStore.delete_person` for this and its errors."""
        await self._change(self._store.delete_person, person_id)

    async def _change(self, function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        def change() -> None:
            function(*args, **kwargs)
            self._refresh()

        await self._pool.run(change)

    def _refresh(self) -> None:
        """Take over a change that was made. Where this fails, `following` does it later."""
        with suppress(StoreError):
            self._gallery.refresh()

    @asynccontextmanager
    async def following(self, write_log: Callable[[str], None]) -> AsyncIterator[None]:
        """Take over the changes that other processes make during the block.

        While the store can't be read everybody stays as they are. The log has one line when this begins, and one when
        it ends.
        """
        task = asyncio.create_task(self._follow(write_log))
        try:
            yield
        finally:
            task.cancel()

    async def _follow(self, write_log: Callable[[str], None]) -> None:
        failed = False
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            try:
                await asyncio.to_thread(self._gallery.refresh)
            except Exception as error:  # whatever it is, the next look may succeed
                if not failed:
                    reason = f"{error.code}: {error.reason}" if isinstance(error, StoreError) else raised_at(error)
                    write_log(log_line("error", "gallery", message="the gallery can't be read", reason=reason))
                failed = True
            else:
                if failed:
                    write_log(log_line("info", "gallery", message="the gallery can be read again"))
                failed = False

    def close(self) -> None:
        """Make no more changes, and close the store."""
        self._pool.close()
        self._store.close()


@contextmanager
def gallery_errors_explained(settings: Settings) -> Iterator[None]:
    """Say in errors of the block which gallery it is, and the driver's reason, for the operator who starts the service.

    Raises:
        StoreError: from the block.
    """
    try:
        yield
    except StoreError as error:
        location = "of FACEREC_GALLERY" if "://" in str(settings.gallery) else str(settings.gallery)  # no password
        reason = f" ({error.reason})" if error.reason else ""
        raise type(error)(f"the gallery {location} can't be used: {error}{reason}") from None


def _reason(refused: Mapping[int, ServiceError]) -> ServiceError:
    """Why none of the pictures can be enrolled. A fault of the service comes first: the client may try again."""
    for error in refused.values():
        if isinstance(error, ServerError) or len(refused) == 1:
            return error
    return PicturesRefused.because(refused)
