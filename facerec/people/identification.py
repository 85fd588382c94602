"""Decide which person each face belongs to, by one rule for people whom the model knows and for enrolled people."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec.inference.false_matches import KNOWN_PERSON
from facerec.inference.model_file import RecognizerMetadata
from facerec.people.gallery import Known, Snapshot, most_similar

_MAX_SIMILARITIES = 2_000_000
"""Similarities that are computed at once: faces times people. Each takes about 20 bytes for a moment."""


class Candidate(NamedTuple):
    """A person whose face it may be."""

    person: Known
    similarity: float
    """Cosine of the face's embedding and the person's template, -1 to 1."""
    probability: float
    """Calibrated, assuming that the face is one of the gallery's people. Over all of them it sums to 1."""


class Identification(NamedTuple):
    """Whose face it is."""

    person: Known | None
    """The answer to act on: the first candidate, or `None` where the similarity is below the threshold."""
    threshold: float
    """Similarity below which a face belongs to nobody in the gallery."""
    candidates: list[Candidate]
    """The most similar people, by falling similarity. Empty if the gallery is."""


class Identifier:
    """Identifies faces among the people of a gallery.

    Args:
        metadata: of the recognizer whose embeddings are compared.
        threshold: of the operator, taken as it is. `None` takes the one with which the gallery accepts the fraction of
            unknown people that the model's metadata states.
    """

    def __init__(self, metadata: RecognizerMetadata, threshold: float | None) -> None:
        self._metadata = metadata
        self._threshold = threshold
        self._computed: tuple[Snapshot | None, float] = (None, metadata.threshold)

    def threshold(self, snapshot: Snapshot) -> float:
        """The similarity below which a face belongs to nobody in the gallery.

        The more people there are, the more strangers resemble one of them, so that it rises with their number. It is
        computed once for each snapshot.
        """
        known, threshold = self._computed
        if known is not snapshot:
            threshold = self._solve(Counter(map(_samples, snapshot.people)))
            self._computed = snapshot, threshold
        return threshold

    @property
    def false_accept_rate(self) -> float | None:
        """Fraction of the unknown people whom the threshold accepts. `None` where the operator has set it."""
        if self._threshold is not None:
            return None
        chosen = self._metadata.false_matches or self._metadata
        return chosen.false_accept_rate

    def verification_threshold(self, samples: int) -> float:
        """The similarity from which a face is that of one person, whose template has so many samples.

        Args:
            samples: number of pictures. 0 for a person of the model, whose template has many.
        """
        return self._solve({samples: 1})

    def _solve(self, people: Mapping[int, int]) -> float:
        """The threshold for so many people with so many samples, `KNOWN_PERSON` for those of the model."""
        metadata = self._metadata
        if self._threshold is not None:
            return self._threshold
        if not metadata.false_matches or not people or people == {KNOWN_PERSON: len(metadata.people)}:
            return metadata.threshold
        return metadata.false_matches.threshold(people)

    def identify(self, embeddings: NDArray[np.float32], snapshot: Snapshot, *, most: int) -> list[Identification]:
        """Identify N faces.

        Args:
            embeddings: float32 `[N, D]`, L2-normalized.
            snapshot: the people.
            most: number of candidates for each face.
        """
        threshold = self.threshold(snapshot)
        if not snapshot.people:
            return [Identification(None, threshold, []) for _ in embeddings]
        rows = max(1, _MAX_SIMILARITIES // len(snapshot.people))
        slices = (embeddings[start : start + rows] for start in range(0, len(embeddings), rows))
        return [each for some in slices for each in self._identify_at_once(some, snapshot, threshold, most)]

    def _identify_at_once(
        self, embeddings: NDArray[np.float32], snapshot: Snapshot, threshold: float, most: int
    ) -> list[Identification]:
        """Identify faces among at least one person. It takes memory for the similarities of all pairs."""
        similarities = snapshot.similarities(embeddings)
        probabilities = _softmax(similarities / self._metadata.temperature)
        identifications = []
        for row, columns in enumerate(most_similar(similarities, most)):
            candidates = [
                Candidate(snapshot.people[column], float(similarities[row, column]), float(probabilities[row, column]))
                for column in columns
            ]
            accepted = candidates[0].similarity >= threshold
            identifications.append(Identification(candidates[0].person if accepted else None, threshold, candidates))
        return identifications


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The softmax of each row of `[N, P]`."""
    exponentials: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalized: NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return normalized


def _samples(person: Known) -> int:
    """The number of a person's samples, `KNOWN_PERSON` if the model knows the person."""
    return KNOWN_PERSON if person.shipped else person.samples
