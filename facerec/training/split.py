"""Split a data set by person and picture.

known people        train, validation, test      the people whom the network learns to name
background people   background                   only trained on: they teach the network to tell faces apart
new people          new_people                   never trained on: enrolled with some images, recognized on the others
unknown people      unknown_validation, _test    never trained on: the network should reject them
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.training.dataset import FaceDataset
from facerec.training.errors import DataError
from facerec.training.people_folder import summarize_skipped

FOLDS = 5
"""Number of folds. Each tests another fifth of each known person's images; together they test every one."""

MIN_UNKNOWN_IMAGES = 20
"""Smallest number of unknown people's images, half of them for validation, that can estimate a false accept rate."""

NEW_PERSON_MIN_IMAGES = 10
"""Smallest number of images of a new person: up to 9 are enrolled, and at least one is tested."""

ENROL_INSTEAD = "Or recognize people without training: `facerec people add FOLDER` needs nobody else's pictures."

Indices = NDArray[np.int64]
"""int64 `[N]`, indices of images in a `FaceDataset`."""


@dataclass(frozen=True)
class Split:
    """A data set of M images with P known people, split by use. Each part holds indices into the data set.

    Attributes:
        people: `[P]`, names of the known people. Class `k` is `people[k]`.
        background_people: number of background people. Their classes follow those of the known people.
        labels: int64 `[M]`, the class of each image, -1 for people who are not trained on.
        train: training images of the known people (70 %).
        validation: images of the known people that choose the temperature (10 %).
        test: images of the known people that choose nothing (20 %).
        background: all images of the background people.
        new_people: all images of each new person.
        unknown_source: who the unknown people are, in words.
        unknown_validation: images of unknown people that choose the rejection threshold.
        unknown_test: images of unknown people that choose nothing.
    """

    people: list[str]
    background_people: int
    labels: NDArray[np.int64]
    train: Indices
    validation: Indices
    test: Indices
    background: Indices
    new_people: list[Indices]
    unknown_source: str
    unknown_validation: Indices
    unknown_test: Indices

    def counts(self, indices: Indices) -> NDArray[np.int64]:
        """The number of images of each known person, int64 `[P]`, among known people's images."""
        return np.bincount(self.labels[indices], minlength=len(self.people))


def split_dataset(dataset: FaceDataset, *, min_images: int, seed: int, fold: int) -> Split:
    """Split a data set into the parts of a `Split`.

    People with `min_images` images or more are known, but those of `dataset.others`. People with one image are unknown.
    Of the others with 10 images or more, in the order of their names, every second from the first is a new person. All
    others are background people. If fewer than 20 people have one image, half of the background people become unknown
    people too.

    The split of a known person depends on the seed, the name and the number of images alone. It stays the same when
    other people are added or removed.

    Args:
        dataset: of M images.
        min_images: number of images from which a person is known, at least 5.
        seed: seed of all random choices.
        fold: 0 to `FOLDS - 1`, the fifth of each known person's images that is tested.

    Raises:
        DataError: fewer than two people are known, or there are too few images of unknown people.
    """
    counts = dataset.counts()
    known = np.flatnonzero((counts >= min_images) & ~np.isin(dataset.names, list(dataset.others)))
    new = np.setdiff1d(np.flatnonzero(counts >= NEW_PERSON_MIN_IMAGES), known)[::2]
    background = np.setdiff1d(np.flatnonzero(counts > 1), np.union1d(known, new))
    if len(known) < 2:
        candidates = len(dataset.names) - len(dataset.others)
        raise DataError(
            f"{len(known)} of {candidates} people have {min_images} pictures or more, and 2 are needed: "
            "add pictures, or lower --min-images." + _describe_skipped(dataset)
        )
    parts = [
        _split_person(np.flatnonzero(dataset.identities == person), dataset.names[person], seed=seed, fold=fold)
        for person in known
    ]
    train, validation, test = (np.concatenate(indices) for indices in zip(*parts, strict=True))

    unknown_source, unknown = "people with a single picture", np.flatnonzero(counts == 1)
    if len(unknown) < MIN_UNKNOWN_IMAGES:
        unknown_source = "people with too few pictures to be known"
        unknown = np.concatenate([unknown, background[::2]])
    shuffled = np.random.default_rng(seed).permutation(unknown)  # split by person, so that nobody is in both halves
    unknown_validation, unknown_test = (
        np.flatnonzero(np.isin(dataset.identities, half)) for half in np.split(shuffled, [len(shuffled) // 2])
    )
    if min(len(unknown_validation), len(unknown_test)) < MIN_UNKNOWN_IMAGES // 2:
        raise DataError(
            f"the threshold is chosen and tested with {MIN_UNKNOWN_IMAGES} pictures or more of other people, and "
            f"{len(unknown_validation) + len(unknown_test)} are there: leave out --background none, so that LFW's "
            f"people serve, or name a folder of others. {ENROL_INSTEAD}"
        )
    background = np.setdiff1d(background, unknown)

    classes = np.full(len(dataset.names), -1, dtype=np.int64)
    classes[known] = np.arange(len(known))
    classes[background] = len(known) + np.arange(len(background))
    return Split(
        people=[dataset.names[person] for person in known],
        background_people=len(background),
        labels=classes[dataset.identities],
        train=train,
        validation=validation,
        test=test,
        background=np.flatnonzero(np.isin(dataset.identities, background)),
        new_people=[np.flatnonzero(dataset.identities == person) for person in new],
        unknown_source=unknown_source,
        unknown_validation=unknown_validation,
        unknown_test=unknown_test,
    )


def _describe_skipped(dataset: FaceDataset) -> str:
    """A sentence with the number of skipped files by their kinds. Empty if none was skipped."""
    return f" Skipped: {summarize_skipped(dataset.skipped)}." if dataset.skipped else ""


def _split_person(indices: Indices, name: str, *, seed: int, fold: int) -> tuple[Indices, Indices, Indices]:
    """Split one person's images into train (70 %), validation (10 %, at least one) and test (20 %)."""
    indices = np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(indices)
    start, stop = (round(len(indices) * k / FOLDS) for k in (fold, fold + 1))
    rest = np.concatenate([indices[stop:], indices[:start]])
    validation = max(1, round(len(indices) * 0.1))
    return rest[validation:], rest[:validation], indices[start:stop]
