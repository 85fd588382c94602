"""Who plays which role: known people to train, validate and test on, others to train on, strangers to reject."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.training.dataset import FaceDataset
from facerec.training.errors import DataError

FOLDS = 5
"""A fold tests a fifth of each person's images; five folds test every image once."""

MIN_UNKNOWN_IMAGES = 20
"""Pictures of strangers; with fewer, a rate of accepted strangers means nothing."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """The images of each role as indices into `FaceDataset`.

    Attributes:
        people: names of the known people; class `k` is `people[k]`.
        background_people: number of further people whose images are trained on; their classes follow the known ones.
        labels: int64 `[M]`, the class of each image, -1 for people who are strangers.
        train: known people's images to train on (70 %).
        validation: known people's images that choose epoch and temperature (10 %).
        test: known people's images that choose nothing (20 %).
        background: all images of other people: training only.
        unknown_source: who plays the unknown_source, in words.
        unknown_validation: their images that choose the rejection threshold.
        unknown_test: their images that choose nothing.
    """

    people: list[str]
    background_people: int
    labels: NDArray[np.int64]
    train: Indices
    validation: Indices
    test: Indices
    background: Indices
    unknown_source: str
    unknown_validation: Indices
    unknown_test: Indices

    def counts(self, indices: Indices) -> NDArray[np.int64]:
        """int64 `[P]`, how many of `images`, which are known people's, show each of them."""
        return np.bincount(self.labels[indices], minlength=len(self.people))


def split_dataset(dataset: FaceDataset, *, min_images: int, seed: int, fold: int) -> Split:
    """Give every image its role.

    People with `min_images` pictures or more are known, people with a single picture are unknown_source, and the others
    teach the network what faces look like. Where fewer than 20 people have a single picture, half of the others are
    strangers too; where that is not enough either, images of known people stand in, each compared with everybody but
    the person it shows. A known person's split depends on the seed, the name and the number of pictures alone, so that
    people who come or go don't move a known person's images.

    Raises:
        DataError: fewer than 2 known people.
    """
    counts = dataset.counts()
    known = np.flatnonzero(counts >= min_images)
    other = np.flatnonzero((counts > 1) & (counts < min_images))
    if len(known) < 2:
        raise DataError(
            f"{len(known)} of {len(dataset.names)} people have {min_images} pictures or more, and 2 are needed: "
            "add pictures, or lower --min-images." + _skipped(dataset)
        )
    parts = [_split(np.flatnonzero(dataset.identities == k), dataset.names[k], seed=seed, fold=fold) for k in known]
    train, validation, test = (np.concatenate(images) for images in zip(*parts, strict=True))

    unknown_source, outside = "people with a single picture", np.flatnonzero(counts == 1)
    if len(outside) < MIN_UNKNOWN_IMAGES:
        unknown_source, outside = "people with too few pictures to be known", np.concatenate([outside, other[::2]])
    shuffled = np.random.default_rng(seed).permutation(outside)  # people, so that nobody is in both halves
    unknown_validation, unknown_test = (
        np.flatnonzero(np.isin(dataset.identities, half)) for half in np.split(shuffled, [len(shuffled) // 2])
    )
    if min(len(unknown_validation), len(unknown_test)) < MIN_UNKNOWN_IMAGES // 2:
        unknown_source, outside = "known people, each compared with everybody but themselves", outside[:0]
        unknown_validation, unknown_test = validation, test
    other = np.setdiff1d(other, outside)

    classes = np.full(len(dataset.names), -1, dtype=np.int64)
    classes[known] = np.arange(len(known))
    classes[other] = len(known) + np.arange(len(other))
    return Split(
        people=[dataset.names[k] for k in known],
        background_people=len(other),
        labels=classes[dataset.identities],
        train=train,
        validation=validation,
        test=test,
        background=np.flatnonzero(np.isin(dataset.identities, other)),
        unknown_source=unknown_source,
        unknown_validation=unknown_validation,
        unknown_test=unknown_test,
    )


def _skipped(dataset: FaceDataset) -> str:
    """How many pictures were skipped and why the first was, where any were."""
    if not dataset.skipped:
        return ""
    name, why = next(iter(dataset.skipped.items()))
    return f" Pictures that were skipped: {len(dataset.skipped)}, of which the first is {name} ({why})."


def _split(indices: Indices, name: str, *, seed: int, fold: int) -> tuple[Indices, Indices, Indices]:
    """One person's images for train (70 %), validation (10 %, at least one) and test (20 %)."""
    indices = np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(indices)
    start, stop = (round(len(indices) * k / FOLDS) for k in (fold, fold + 1))
    rest = np.concatenate([indices[stop:], indices[:start]])
    validation = max(1, round(len(indices) * 0.1))
    return rest[validation:], rest[:validation], indices[start:stop]
