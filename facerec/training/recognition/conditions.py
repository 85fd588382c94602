"""Measure how errors depend on a picture's conditions: how sharp, how large and how far turned the face is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.inference.alignment import eye_distances, eye_middles
from facerec.training.dataset import FaceDataset
from facerec.training.metrics import Proportion
from facerec.training.split import Indices

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ConditionError:
    """The errors among the images of one condition.

    Attributes:
        condition: in words.
        low: the smallest value of the condition among the images.
        high: the largest one.
        errors: images that are not named correctly, or not accepted at the exported threshold.
    """

    condition: str
    low: float
    high: float
    errors: Proportion


def errors_by_condition(dataset: FaceDataset, images: Indices, accepted: NDArray[np.bool_]) -> list[ConditionError]:
    """Split test images into thirds by sharpness, size and turn of the face, and count the errors of each third.

    Size and turn are known only of faces whose points were found.

    Args:
        dataset: the crops and points.
        images: int64 `[N]`, test images.
        accepted: bool `[N]`, whether each is named correctly and accepted.
    """
    points = dataset.landmarks[images].astype(np.float64)
    conditions = {
        "sharpness: standard deviation of the crop's Laplacian, in grey values": np.array(
            [_sharpness(dataset.crops[image]) for image in images]
        ),
        "size: distance between the eyes, in pixels of the picture": eye_distances(points),
        "turn: distance of the nose from the line midway between the eyes, as part of their distance": _turns(points),
    }
    rows = []
    for condition, values in conditions.items():
        measured = np.flatnonzero(np.isfinite(values))
        for third in np.array_split(measured[np.argsort(values[measured], kind="stable")], 3):
            if len(third):
                low, high = float(values[third].min()), float(values[third].max())
                rows.append(ConditionError(condition, low, high, Proportion.from_hits(~accepted[third])))
    return rows


def _sharpness(crop: NDArray[np.uint8]) -> float:
    """The standard deviation of the Laplacian of the middle half of a crop, where the face is, in grey values."""
    quarter = len(crop) // 4
    grey = crop[quarter:-quarter, quarter:-quarter].mean(axis=2)
    middle = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * middle
    return float(laplacian.std())


def _turns(points: Values) -> Values:
    left, right = eye_middles(points)
    across = left - right
    offset = ((points[:, 4] - (left + right) / 2) * across).sum(axis=1) / (across**2).sum(axis=1)
    turns: Values = np.abs(offset)
    return turns
