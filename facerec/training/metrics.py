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

CALIBRATION_BINS = 15
"""Number of bins of the expected calibration error."""


@dataclass(frozen=True)
class Proportion:
    """A proportion `count / total` with Wilson's 95 % interval. Value, low and high are on a scale of 0 to 1."""

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
            return cls(0.0, 0, 0, 0.0, 1.0)
        interval = binomtest(count, total).proportion_ci(method="wilson")
        return cls(count / total, count, total, float(interval.low), float(interval.high))

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.count} of {self.total}; 95 % interval {self.low:.2%} to {self.high:.2%})"


def single_numbers(metrics: object) -> dict[str, float]:
    """The fields of a dataclass of metrics that are single numbers. Proportions are reduced to their value."""
    numbers = {name: value.value if isinstance(value, Proportion) else value for name, value in vars(metrics).items()}
    return {name: value for name, value in numbers.items() if isinstance(value, float)}


def top_k(similarities: Floats, labels: Labels, k: int) -> Proportion:
    """The proportion of rows of `[N, P]` whose label is among their `k` highest columns."""
    highest = np.argsort(-similarities, axis=1)[:, :k]
    return Proportion.from_hits((highest == labels[:, None]).any(axis=1))


def recalls_by_person(similarities: Floats, labels: Labels) -> list[Proportion]:
    """For each of the P people, the proportion of their images that were named correctly.

    Args:
        similarities: `[N, P]`.
        labels: int64 `[N]`, the correct columns.
    """
    correct = similarities.argmax(axis=1) == labels
    return [Proportion.from_hits(correct[labels == person]) for person in range(similarities.shape[1])]


def reliability(
    probabilities: Floats, labels: Labels
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Mean confidence, accuracy and number of images in each of 15 equal bins of confidence.

    Args:
        probabilities: `[N, P]`.
        labels: int64 `[N]`, the correct columns.

    Returns:
        Three arrays `[15]`. Confidence and accuracy are 0 in empty bins.
    """
    confidences = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidences * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    mean_confidence = np.bincount(bins, weights=confidences, minlength=CALIBRATION_BINS) / np.maximum(counts, 1)
    accuracy = np.bincount(bins, weights=correct, minlength=CALIBRATION_BINS) / np.maximum(counts, 1)
    return mean_confidence, accuracy, counts


def expected_calibration_error(probabilities: Floats, labels: Labels) -> float:
    """Mean distance between confidence and accuracy over 15 bins (Guo et al., 2017, arXiv:1706.04599)."""
    confidence, accuracy, counts = reliability(probabilities, labels)
    return float(np.abs(confidence - accuracy) @ counts / counts.sum())


def detection_and_identification(
    known: Floats, labels: Labels, unknown: Floats, *, false_accept_rate: float
) -> Proportion:
    """DIR at FAR: the proportion of known people's images that are named correctly and accepted.

    The threshold of this metric is set so that at most the given fraction of unknown people's images is above it.

    Args:
        known: similarities `[N, P]` of known people's images.
        labels: int64 `[N]`, the correct columns.
        unknown: similarities `[M, P]` of unknown people's images.
        false_accept_rate: fraction of the unknown people's images, at least 0 and less than 1.

    Source: Phillips, Grother, Micheals, "Evaluation Methods in Face Recognition", 2011.
    """
    highest = np.sort(unknown.max(axis=1))[::-1]
    threshold = highest[int(false_accept_rate * len(highest))]
    return Proportion.from_hits((known.argmax(axis=1) == labels) & (known.max(axis=1) > threshold))


def known_unknown_auroc(known: Floats, unknown: Floats) -> float:
    """The area under the ROC curve of telling known from unknown people by the highest similarity.

    Args:
        known: similarities `[N, P]` of known people's images.
        unknown: similarities `[M, P]` of unknown people's images.
    """
    is_known = np.repeat([1, 0], [len(known), len(unknown)])
    return float(roc_auc_score(is_known, np.concatenate([known.max(axis=1), unknown.max(axis=1)])))
