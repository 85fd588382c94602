"""Average linkage of sparse pairs, beside SciPy's of all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from facerec.labelling import clustering
from facerec.labelling.clustering import Vectors, average_linkage, similar_pairs
from facerec.people.samples import normalize


def people(seed: int, sizes: list[int], *, noise: float) -> Vectors:
    """Vectors of 16 values of so many people, each with so many faces, in any order."""
    random = np.random.default_rng(seed)
    centres = np.repeat(random.normal(size=(len(sizes), 16)), sizes, axis=0)
    vectors = random.permutation(centres + noise * random.normal(size=centres.shape))
    return normalize(vectors.astype(np.float32))


def pairs_of(vectors: Vectors, threshold: float) -> clustering.Pairs:
    return similar_pairs(vectors, threshold, np.arange(len(vectors)))


def same_partition(one: object, other: object) -> bool:
    """Whether two lists of labels name the same clusters."""
    return len({*zip(one, other, strict=True)}) == len({*one}) == len({*other})  # type: ignore[call-overload, misc]


@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0.2, 2), threshold=st.floats(0.2, 0.9))
def test_the_clusters_are_those_of_all_pairs(seed: int, noise: float, threshold: float) -> None:
    vectors = people(seed, [1, 1, 1, 2, 3, 5, 8, 13], noise=noise)
    expected = fcluster(linkage(vectors.astype(np.float64), "average", "cosine"), 1 - threshold, "distance")
    found = average_linkage(vectors.copy(), pairs_of(vectors, threshold), threshold)
    assert same_partition(found.tolist(), expected.tolist())


def test_pairs_are_found_across_blocks_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "_ROWS", 7)
    monkeypatch.setattr(clustering, "_COLUMNS", 10)
    vectors = people(1, [30, 20], noise=1)
    told: list[int] = []
    pairs = similar_pairs(vectors, 0.5, np.arange(50), told.append)
    similarities = vectors @ vectors.T
    expected = {(i, j) for i in range(50) for j in range(i + 1, 50) if similarities[i, j] >= 0.5}
    assert len(pairs.first) == len(expected) > 100
    assert {*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)} == expected
    assert pairs.similarity == pytest.approx(similarities[pairs.first, pairs.second])
    assert sum(told) == 50


def test_vectors_that_are_apart_are_no_pair() -> None:
    vectors = people(1, [4], noise=0.01)
    pairs = similar_pairs(vectors, 0.5, np.array([7, 7, 8, 8]))
    assert {*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)} == {(0, 2), (0, 3), (1, 2), (1, 3)}


def test_of_many_pairs_the_most_similar_are_held_and_join_all(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = people(3, [600, 400], noise=0.3)
    few, most = pairs_of(vectors, 0.5), clustering.MAX_NEIGHBOURS
    assert np.bincount(few.first).max() == most
    monkeypatch.setattr(clustering, "MAX_NEIGHBOURS", 1000)
    every = pairs_of(vectors, 0.5)
    assert len(every.first) > 200_000
    clusters = average_linkage(vectors.copy(), few, 0.5)
    assert same_partition(clusters.tolist(), average_linkage(vectors.copy(), every, 0.5).tolist())
    assert sorted(np.unique(clusters, return_counts=True)[1]) == [400, 600]
    first = few.take(few.first == 0)
    assert first.similarity.min() >= np.sort(every.similarity[every.first == 0])[-most]


def test_copies_are_one_cluster() -> None:
    vectors = people(1, [1], noise=0).repeat(100, axis=0)
    assert set(average_linkage(vectors.copy(), pairs_of(vectors, 0.9), 0.9)) == {0}


def test_no_vectors_have_no_clusters() -> None:
    vectors = np.empty((0, 16), np.float32)
    assert len(average_linkage(vectors, pairs_of(vectors, 0.5), 0.5)) == 0
