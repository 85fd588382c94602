"""Match the faces of an archive with the people of a gallery."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec.inference.jobs import LoadedModels
from facerec.inference.model_file import RecognizerMetadata
from facerec.people.gallery import Gallery, Snapshot
from facerec.people.identification import Identification, Identifier
from facerec.people.location import gallery_location
from facerec.people.model_choice import embedding_of
from facerec.people.reader import PeopleReader


class Match(NamedTuple):
    """Whose face it is: the columns of a row that depend on the gallery, see `rows.Row`."""

    identity: str | None
    person_id: str | None
    similarity: float | None
    threshold: float
    probability: float | None
    runner_up: str | None
    runner_up_similarity: float | None

    @classmethod
    def of(cls, identification: Identification) -> "Match":
        """The columns for what the gallery says of a face."""
        person = identification.person
        first, second = ([*identification.candidates, None, None])[:2]
        return cls(
            identity=person and person.name,
            person_id=str(person.id) if person and person.id else None,
            similarity=first and first.similarity,
            threshold=identification.threshold,
            probability=first and first.probability,
            runner_up=second and second.person.name,
            runner_up_similarity=second and second.similarity,
        )


class Matcher:
    """Matches faces with the people of one moment.

    Args:
        metadata: of the recognizer whose embeddings are compared.
        people: everybody who is known.
        threshold: of the operator, taken as it is. `None` takes the model's.
        has_gallery: whether there is a gallery, which may hold nobody any more.

    Attributes:
        has_gallery: as given.
        checksum: SHA-256 in hexadecimal of all that decides. Faces that were matched under the same checksum have the
            same answers.
    """

    def __init__(
        self, metadata: RecognizerMetadata, people: Snapshot, threshold: float | None, *, has_gallery: bool = True
    ) -> None:
        self.has_gallery = has_gallery
        self._identifier = Identifier(metadata, threshold)
        self._people = people
        names = [(person.name, str(person.id)) for person in people.people]
        deciding = json.dumps([names, self._identifier.threshold(people), metadata.temperature])
        self.checksum = hashlib.sha256(deciding.encode() + people.templates.tobytes()).hexdigest()

    def match(self, embeddings: NDArray[np.float32]) -> list[Match]:
        """Whose N faces are.

        Args:
            embeddings: float32 `[N, D]`, L2-normalized.
        """
        return [Match.of(each) for each in self._identifier.identify(embeddings, self._people, most=2)]


def load_matcher(
    models: LoadedModels, gallery: str | Path | None, *, shipped_people: bool, threshold: float | None
) -> Matcher:
    """What matches faces with the people whom a recognizer knows, and those of a gallery.

    Args:
        models: the recognizer among them is the one that the gallery must have been made with.
        gallery: see `facerec.people.location.gallery_location`. There may be none yet.
        shipped_people: whether the people whom the recognizer knows are matched besides those of the gallery.
        threshold: see `Matcher`.

    Raises:
        ValueError: the gallery is a URL of another form.
        StoreError: the gallery can't be read, or was made with another model.
    """
    metadata = models.recognizer
    names = [person.name for person in metadata.people]
    shipped = dict(zip(names, models.directions, strict=True)) if shipped_people else {}
    store = PeopleReader(gallery_location(gallery), embedding_of(metadata, models.recognizer_checksum))
    try:
        people = Gallery(store, shipped).snapshot
        return Matcher(metadata, people, threshold, has_gallery=store.count_changes() > 0)
    finally:
        store.close()
