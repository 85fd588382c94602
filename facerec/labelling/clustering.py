"""Put vectors that are alike into clusters: average linkage of all pairs above a threshold.

Two clusters are merged while the mean similarity of all their pairs reaches the threshold, the most similar ones first.
A single pair that is alike by chance joins no two people that way, as it does where clusters are connected components
(DBSCAN). The usual implementations of average linkage hold the similarities of all N x N pairs. For normalized vectors
the mean similarity of two clusters is the product of their sums, divided by their sizes, and pairs below the threshold
decide nothing: so only those above it are held.

Clusters that are each other's most similar one are merged at the same time, which gives the same clusters (Sumengen et
al., "Scaling Hierarchical Agglomerative Clustering to Billion-sized Datasets", 2021, arXiv:2105.11653).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_NEIGHBOURS = 32
"""Pairs of a vector with later ones that are held, the most similar ones. It bounds the memory where thousands of
pictures show one person."""

_ROWS, _COLUMNS = 1024, 8192
"""Vectors that are compared at once: 32 MB of similarities."""
_EDGES = 65_536
"""Pairs whose similarity is computed at once."""

Vectors = NDArray[np.float32]
"""float32 `[N, D]`, L2-normalized."""


class Pairs(NamedTuple):
    """Pairs of vectors or of clusters, E of each."""

    first: NDArray[np.int64]
    """`[E]`, lower than the second."""
    second: NDArray[np.int64]
    similarity: NDArray[np.float32]

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.first[chosen], self.second[chosen], self.similarity[chosen])


def similar_pairs(
    vectors: Vectors,
    threshold: float,
    apart: NDArray[np.int64],
    on_progress: Callable[[int], object] = lambda compared: None,  # noqa: ARG005
) -> Pairs:
    """The pairs of N vectors that are as similar as a threshold, see `MAX_NEIGHBOURS`.

    Args:
        vectors: `[N, D]`.
        threshold: least cosine of a pair.
        apart: `[N]`. Vectors of the same number are no pair.
        on_progress: is told how many more vectors were compared with all later ones.
    """
    found = [Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))]
    for top in range(0, len(vectors), _ROWS):
        rows = vectors[top : top + _ROWS]
        near = []
        for left in range(top, len(vectors), _COLUMNS):
            similarities = rows @ vectors[left : left + _COLUMNS].T
            if left == top:
                similarities[:, : len(rows)][np.tri(len(rows), dtype=np.bool_)] = -1  # not later ones
            first, second = np.divmod(np.flatnonzero(_alike(similarities, threshold)), similarities.shape[1])
            pairs = Pairs(first + top, second + left, similarities[first, second])
            near.append(pairs.take(apart[pairs.first] != apart[pairs.second]))
        found.append(_nearest(_joined(near)))
        on_progress(len(rows))
    return _joined(found)


def _alike(similarities: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Where similarities reach the threshold, in each row the highest alone."""
    alike: NDArray[np.bool_] = similarities >= threshold
    crowded = np.flatnonzero(np.count_nonzero(alike, axis=1) > MAX_NEIGHBOURS)
    if len(crowded):
        rows = similarities[crowded]
        alike[crowded] &= rows >= np.partition(rows, -MAX_NEIGHBOURS, axis=1)[:, -MAX_NEIGHBOURS, None]
    return alike


def _nearest(pairs: Pairs) -> Pairs:
    """The most similar pairs of each first one."""
    pairs = pairs.take(np.lexsort((pairs.second, -pairs.similarity, pairs.first)))
    starts = np.flatnonzero(np.diff(pairs.first, prepend=-1))
    ranks = np.arange(len(pairs.first)) - np.repeat(starts, np.diff(starts, append=len(pairs.first)))
    return pairs.take(ranks < MAX_NEIGHBOURS)


def _joined(parts: list[Pairs]) -> Pairs:
    return Pairs(*map(np.concatenate, zip(*parts, strict=True)))


def average_linkage(vectors: Vectors, pairs: Pairs, threshold: float) -> NDArray[np.int64]:
    """The cluster of each of N vectors, int64 `[N]`: the lowest index among its vectors.

    Args:
        vectors: `[N, D]`. They are overwritten, because a copy of millions would take as much memory again.
        pairs: those that are as similar as the threshold.
        threshold: least mean similarity of the pairs of two clusters that are merged.
    """
    clusters = np.arange(len(vectors))
    sums, sizes = vectors, np.ones(len(vectors), np.float32)
    while len(pairs.first):
        merged = pairs.take(_mutual(pairs, len(vectors)))
        sums[merged.first] += sums[merged.second]
        sizes[merged.first] += sizes[merged.second]
        into = np.arange(len(vectors))
        into[merged.second] = merged.first
        clusters = into[clusters]
        changed = np.zeros(len(vectors), np.bool_)
        changed[merged.first] = True
        pairs = _between(pairs, into)
        stale = np.flatnonzero(changed[pairs.first] | changed[pairs.second])
        for start in range(0, len(stale), _EDGES):
            some = stale[start : start + _EDGES]
            first, second = pairs.first[some], pairs.second[some]
            products = np.einsum("ed,ed->e", sums[first], sums[second])
            pairs.similarity[some] = products / (sizes[first] * sizes[second])
        pairs = pairs.take(pairs.similarity >= threshold)
    return clusters


def _mutual(pairs: Pairs, count: int) -> NDArray[np.int64]:
    """The pairs of clusters that are each other's most similar one. Of equal ones the first counts.

    Args:
        pairs: between clusters.
        count: all clusters have lower numbers.
    """
    order = np.lexsort((pairs.second, pairs.first, -pairs.similarity))
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    best = np.full(count, len(order))
    np.minimum.at(best, pairs.first, ranks)
    np.minimum.at(best, pairs.second, ranks)
    return np.flatnonzero((ranks == best[pairs.first]) & (ranks == best[pairs.second]))


def _between(pairs: Pairs, into: NDArray[np.int64]) -> Pairs:
    """The pairs of merged clusters, each once. `into` holds the cluster that each has become a part of."""
    first, second = into[pairs.first], into[pairs.second]
    keys = np.minimum(first, second) * len(into) + np.maximum(first, second)
    _, kept = np.unique(np.where(first == second, -1, keys), return_index=True)
    kept = kept[first[kept] != second[kept]]
    return Pairs(np.minimum(first, second)[kept], np.maximum(first, second)[kept], pairs.similarity[kept])
