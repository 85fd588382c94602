"""Choose the samples of a person from pictures that were recognized."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec.inference.cropping import Face
from facerec.inference.results import PictureResult
from facerec.people.errors import AlreadyEnrolled, LikeAnotherPerson, PeopleError, SampleRefused
from facerec.people.gallery import Snapshot
from facerec.people.quality import check_likeness, choose_face, measure
from facerec.people.samples import Box, Sample, normalize

SAME_FACE_MIN_IOU = 0.5
"""Intersection over union from which two boxes in one picture are one face. Boxes that were clipped to the picture, as
the rows of labels have them, differ from those of a detection."""


class Portrait(NamedTuple):
    """A picture of a person who is to be enrolled."""

    result: PictureResult
    """Of the crop mode `detect`."""
    box: Box | None
    """Where the person's face is. `None` if the picture shows nobody else."""


class Selection(NamedTuple):
    """Which portraits are good enough."""

    samples: list[Sample]
    refused: dict[int, PeopleError]
    """Why the others are not, by their index."""


def select_samples(
    portraits: Sequence[Portrait],
    name: str,
    *,
    own: Sequence[Sample],
    snapshot: Snapshot,
    threshold: float,
    force: bool,
) -> Selection:
    """The samples that portraits of one person give.

    Args:
        portraits: the pictures.
        name: of the person.
        own: the samples that the person has.
        snapshot: everybody who is known.
        threshold: of the recognizer's metadata.
        force: take faces that are unlike the person's others, or very like another person.
    """
    taken: defaultdict[str, list[Face]] = defaultdict(list)
    for sample in own:
        taken[sample.picture_sha256].append(sample.box.face())
    good: dict[int, Sample] = {}
    refused: dict[int, PeopleError] = {}
    for index, portrait in enumerate(portraits):
        try:
            sample = _sample(portrait)
            face, others = sample.box.face(), taken[sample.picture_sha256]
            if any(face.iou(other) >= SAME_FACE_MIN_IOU for other in others):
                raise AlreadyEnrolled
        except (SampleRefused, AlreadyEnrolled) as error:
            refused[index] = error
        else:
            others.append(face)
            good[index] = sample
    while not force and (unlikely := _most_unlikely(good, name, own, snapshot, threshold)):
        index, refused[index] = unlikely
        del good[index]
    return Selection(list(good.values()), refused)


def _most_unlikely(
    good: Mapping[int, Sample], name: str, own: Sequence[Sample], snapshot: Snapshot, threshold: float
) -> tuple[int, SampleRefused] | None:
    """Index and refusal of the face that is most likely somebody else's. `None` if all may be the person's.

    One at a time is refused, because a wrong face makes the right ones seem unlike too. Those that are like another
    person come first, then the one that is least like the rest; of two that are unlike each other it is the second.
    """
    worst: tuple[bool, float, int, SampleRefused] | None = None
    embeddings = [each.embedding for each in (*own, *good.values())]
    total = np.sum(embeddings, axis=0, dtype=np.float64)
    for index, sample in good.items():
        rest = normalize((total - sample.embedding).astype(np.float32)) if len(embeddings) > 1 else None
        try:
            check_likeness(sample.embedding, name, rest, snapshot, threshold)
        except SampleRefused as error:
            distance = 1 - float(sample.embedding @ rest) if rest is not None else 0.0
            found = (isinstance(error, LikeAnotherPerson), round(distance, 4), index, error)
            if worst is None or found[:3] > worst[:3]:
                worst = found
    return worst and worst[2:]


def _sample(portrait: Portrait) -> Sample:
    """The sample of a portrait.

    Raises:
        SampleRefused: the face can't be told, or is not good enough.
    """
    result = portrait.result
    row = choose_face(result, portrait.box)
    quality = measure(result.landmarks[row], result.sharpness[row])
    quality.check()
    assert result.embeddings is not None  # there is a face
    embedding: NDArray[np.float32] = result.embeddings[row]
    return Sample(embedding, quality.value, result.sha256, Box.of(result.faces[row]))
