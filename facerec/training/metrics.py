"""Metrics of closed-set and open-set recognition, with 95 % intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

BINS = 15
"""Of the expected calibration error."""


@dataclass(frozen=True)
class Proportion:
    """A proportion `count / total` with Wilson's 95 % interval, from `low` to `high`; all on a scale of 0 to 1."""

    value: float
    count: int
    total: int
    low: float
    high: float

    @classmethod
    def from_hits(cls, hits: NDArray[np.bool_]) -> Self:
        """The proportion of true values in a bool array `[N]`."""
        return cls.from_counts(int(hits.sum()), len(hits))

    @classmethod
    def pooled(cls, proportions: Sequence[Self]) -> Self:
        """The proportion over several samples taken together."""
        return cls.from_counts(sum(each.count for each in proportions), sum(each.total for each in proportions))

    @classmethod
    def from_counts(cls, count: int, total: int) -> Self:
        """The proportion `count / total`. For `total == 0` the value is 0 and the interval [0, 1]."""
        if not total:
            return cls(0, 0, 0, 0, 1)
        interval = binomtest(count, total).proportion_ci(method="wilson")
        return cls(count / total, count, total, float(interval.low), float(interval.high))

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.count} of {self.total}; 95 % interval {self.low:.2%} to {self.high:.2%})"


def top_k(similarities: Floats, labels: Labels, k: int) -> Proportion:
    """Share of rows of `[N, P]` whose label is among their `k` highest."""
    highest = np.argsort(-similarities, axis=1)[:, :k]
    return Proportion.from_hits((highest == labels[:, None]).any(axis=1))


def recalls_by_person(similarities: Floats, labels: Labels) -> list[Proportion]:
    """For each person, the share of their images that were named rightly."""
    right = similarities.argmax(axis=1) == labels
    return [Proportion.from_hits(right[labels == person]) for person in range(similarities.shape[1])]


def reliability(
    probabilities: Floats, labels: Labels
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Mean confidence, accuracy (both 0 where empty) and count of each of 15 equal bins of confidence, each `[15]`."""
    confidences = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    mean_confidence = np.bincount(bins, weights=confidences, minlength=BINS) / np.maximum(counts, 1)
    accuracy = np.bincount(bins, weights=right, minlength=BINS) / np.maximum(counts, 1)
    return mean_confidence, accuracy, counts


def expected_calibration_error(probabilities: Floats, labels: Labels) -> float:
    """Mean distance of confidence from accuracy over 15 bins (Guo et al., 2017, arXiv:1706.04599)."""
    confidence, accuracy, counts = reliability(probabilities, labels)
    return float(np.abs(confidence - accuracy) @ counts / counts.sum())


def detection_and_identification(
    known: Floats, labels: Labels, unknown: Floats, *, false_accept_rate: float
) -> Proportion:
    """DIR@FAR: share of known images both named rightly and above the threshold that this share of strangers passes.

    Args:
        known: similarities `[N, P]` of known people's images.
        labels: int64 `[N]`.
        unknown: similarities `[M, P]` of strangers' images; they set the threshold of this figure.
        false_accept_rate: share of 1.

    Source: Phillips, Grother, Micheals, "Evaluation Methods in Face Recognition", 2011.
    """
    highest = np.sort(unknown.max(axis=1))[::-1]
    threshold = highest[int(false_accept_rate * len(highest))]
    return Proportion.from_hits((known.argmax(axis=1) == labels) & (known.max(axis=1) > threshold))


def known_against_unknown(known: Floats, unknown: Floats) -> float:
    """AUROC of the highest similarity as a sign that a face is a known person's."""
    is_known = np.repeat([1, 0], [len(known), len(unknown)])
    return float(roc_auc_score(is_known, np.concatenate([known.max(axis=1), unknown.max(axis=1)])))
