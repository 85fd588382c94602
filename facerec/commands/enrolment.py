"""Enrol people from picture files, in this process."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from facerec.inference.errors import InvalidOutput
from facerec.inference.pipeline import Pipeline
from facerec.inference.results import PictureResult, Trace
from facerec.models import directions, read_picture
from facerec.people.enrolment import Portrait, Selection, select_samples
from facerec.people.errors import AlreadyEnrolled, NameTaken, UnknownPerson
from facerec.people.gallery import Gallery
from facerec.people.store import PeopleStore
from facerec.pictures.errors import PictureError, PictureTooCostly


class Enrolment:
    """Enrols people into a gallery.

    Args:
        pipeline: recognizes the pictures.
        store: keeps the people.
        force: see `select_samples`.
    """

    def __init__(self, pipeline: Pipeline, store: PeopleStore, *, force: bool) -> None:
        self._pipeline = pipeline
        self._store = store
        self._gallery = Gallery(store, directions(pipeline.recognizer))
        self._force = force

    def known_pictures(self, name: str) -> frozenset[str]:
        """The SHA-256 of the pictures of a person's samples. Empty if nobody has the name.

        Raises:
            StoreError: the gallery can't be read.
        """
        person_id = self._store.find(name)
        samples = self._store.person(person_id).samples if person_id else ()
        return frozenset(sample.picture_sha256 for sample in samples)

    def look(self, path: Path, known: frozenset[str]) -> PictureResult | str | None:
        """What a picture shows, or why it can't be used. `None` if it is one of the `known` pictures."""
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for some errors
            return "It is no file, or a link that leads nowhere."
        try:
            data = read_picture(path)
            if hashlib.sha256(data).hexdigest() in known:
                return None
            return self._pipeline.recognize(lambda: data, "detect", Trace())
        except OSError as error:
            reason = f"It can't be read: {error.strerror}."
        except MemoryError:
            reason = PictureTooCostly.message
        except PictureError as error:
            reason = str(error)
        except InvalidOutput:
            reason = "The model gives no usable answer for it."
        return reason

    def enrol(self, name: str, portraits: Sequence[Portrait]) -> Selection:
        """Add those of a person's portraits that are good enough, all in one transaction.

        Raises:
            StoreError: the gallery can't be changed.
        """
        while True:
            self._gallery.refresh()
            try:
                person_id = self._store.find(name)
                selection = select_samples(
                    portraits,
                    name,
                    own=self._store.person(person_id).samples if person_id else (),
                    snapshot=self._gallery.snapshot,
                    threshold=self._pipeline.recognizer.metadata.threshold,
                    force=self._force,
                )
                if selection.samples and person_id:
                    self._store.add_samples(person_id, selection.samples)
                elif selection.samples:
                    self._store.add_person(name, selection.samples)
            except (NameTaken, UnknownPerson, AlreadyEnrolled):  # others changed the person meanwhile
                continue
            return selection
