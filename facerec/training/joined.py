"""Join two data sets: the people to be named, and other people who serve as background and as unknown people."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from facerec.training.dataset import FaceDataset


class JoinedCrops:
    """The crops of two data sets, uint8 `[M, S, S, 3]`, without a copy of their memory maps.

    Args:
        first: `[A, S, S, 3]`.
        second: `[B, S, S, 3]`.
        kept: int64 `[C]`, which of the B crops of `second` follow the A first ones: M = A + C.
    """

    def __init__(self, first: NDArray[np.uint8], second: NDArray[np.uint8], kept: NDArray[np.int64]) -> None:
        self._first = first
        self._second = second
        self._kept = kept

    @property
    def shape(self) -> tuple[int, ...]:
        """`[M, S, S, 3]`."""
        return (len(self), *self._first.shape[1:])

    def __len__(self) -> int:
        return len(self._first) + len(self._kept)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, indices: int | NDArray[np.int64]) -> NDArray[np.uint8]:
        """One crop `[S, S, 3]`, or N crops `[N, S, S, 3]`."""
        indices = indices if isinstance(indices, int | np.integer) else np.asarray(indices)
        border = len(self._first)
        if isinstance(indices, int | np.integer):
            part, index = (self._first, indices) if indices < border else (self._second, self._kept[indices - border])
            crop: NDArray[np.uint8] = part[index]
            return crop
        crops = np.empty((len(indices), *self.shape[1:]), np.uint8)
        first = indices < border
        crops[first] = self._first[indices[first]]
        crops[~first] = self._second[self._kept[indices[~first] - border]]
        return crops


def join(named: FaceDataset, others: FaceDataset) -> FaceDataset:
    """The data set of all people, in which those of `others` are never known people.

    People of `others` who have the name of a person in `named` are left out: they may be the same person.
    """
    names = np.array(others.names)[others.identities]
    kept = np.flatnonzero(~np.isin(names, named.names))
    all_names, identities = np.unique(
        np.concatenate([np.array(named.names)[named.identities], names[kept]]), return_inverse=True
    )
    kept_paths = [others.paths[image] for image in kept]
    digest = hashlib.sha256(f"{named.fingerprint} {others.fingerprint}".encode())
    return replace(
        named,
        crops=cast("NDArray[np.uint8]", JoinedCrops(named.crops, others.crops, kept)),
        paths=named.paths + kept_paths,
        names=all_names.tolist(),
        identities=identities,
        others=frozenset(all_names.tolist()) - frozenset(named.names),
        landmarks=np.concatenate([named.landmarks, others.landmarks[kept]]),
        skipped=others.skipped | named.skipped,
        without_face=named.without_face + sorted(set(others.without_face) & set(kept_paths)),
        fingerprint=digest.hexdigest(),
    )
