import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec.training.dataset import FaceDataset
from facerec.training.recognition.conditions import ConditionError, errors_by_condition
from tests.training.blank_dataset import blank_dataset


def face(*, eye_distance: float, turn: float = 0) -> NDArray[np.float32]:
    """Points of a face whose eyes are that many pixels apart, with its nose at a part of it to the side."""
    corners = [(0.7, 0), (0.3, 0), (-0.7, 0), (-0.3, 0)]
    return np.array([*corners, (turn, 0.6)], np.float32) * eye_distance + 100


def dataset(landmarks: list[NDArray[np.float32]]) -> FaceDataset:
    """A data set of Ann in which each picture has more contrast than the one before."""
    grain = np.random.default_rng(0).integers(0, 20, (40, 40, 3))
    crops = np.stack([grain * (number + 1) for number in range(len(landmarks))]).astype(np.uint8)
    return dataclasses.replace(blank_dataset({"Ann": len(landmarks)}), crops=crops, landmarks=np.stack(landmarks))


def rows_of(rows: list[ConditionError], start: str) -> list[tuple[float, float, int, int]]:
    """Ends, errors and images of the rows whose condition starts so."""
    return [(row.low, row.high, row.errors.count, row.errors.total) for row in rows if row.condition.startswith(start)]


def test_images_are_split_into_thirds_by_each_condition() -> None:
    points = [face(eye_distance=10 * (7 - number), turn=0.05 * number) for number in range(7)]
    accepted = np.array([False, False, False, True, True, True, True])
    rows = errors_by_condition(dataset(points), np.arange(7), accepted)
    assert len(rows) == 9
    sharpness = rows_of(rows, "sharpness")
    assert [row[2:] for row in sharpness] == [(3, 3), (0, 2), (0, 2)]
    assert sorted(value for low, high, *_ in sharpness for value in (low, high)) == [
        value for low, high, *_ in sharpness for value in (low, high)
    ]
    assert rows_of(rows, "size") == [
        pytest.approx((10, 30, 0, 3)),
        pytest.approx((40, 50, 1, 2)),
        pytest.approx((60, 70, 2, 2)),
    ]
    assert rows_of(rows, "turn") == [
        pytest.approx((0, 0.1, 3, 3), abs=1e-6),
        pytest.approx((0.15, 0.2, 0, 2), abs=1e-6),
        pytest.approx((0.25, 0.3, 0, 2), abs=1e-6),
    ]


def test_a_turn_is_the_same_to_both_sides_and_in_a_tilted_face() -> None:
    cos, sin = np.cos(0.5), np.sin(0.5)
    tilted = face(eye_distance=50, turn=0.2) @ np.array([(cos, sin), (-sin, cos)], np.float32)
    points = [face(eye_distance=50, turn=-0.2), face(eye_distance=20, turn=0.2), tilted]
    rows = errors_by_condition(dataset(points), np.arange(3), np.ones(3, bool))
    assert [row[:2] for row in rows_of(rows, "turn")] == [pytest.approx((0.2, 0.2), abs=1e-4)] * 3


def test_images_without_points_have_only_a_sharpness() -> None:
    nothing = np.full((5, 2), np.nan, np.float32)
    points = [nothing, face(eye_distance=30), nothing, face(eye_distance=20), nothing]
    accepted = np.array([False, False, True, True])
    rows = errors_by_condition(dataset(points), np.array([0, 1, 2, 3]), accepted)
    assert sum(total for *_, total in rows_of(rows, "sharpness")) == 4
    assert rows_of(rows, "size") == [pytest.approx((20, 20, 0, 1)), pytest.approx((30, 30, 1, 1))]
    without = errors_by_condition(dataset([nothing] * 5), np.arange(4), accepted)
    assert {row.condition for row in without} == {row.condition for row in rows[:3]}


def test_a_smoother_crop_is_less_sharp() -> None:
    sharp = dataset([face(eye_distance=30)] * 2)
    crops = sharp.crops.copy()
    crops[1] = crops[1].mean(axis=(0, 1)).astype(np.uint8)
    rows = errors_by_condition(dataclasses.replace(sharp, crops=crops), np.array([0, 1]), np.array([True, False]))
    (smooth, *_), (grainy, *_) = rows_of(rows, "sharpness")
    assert smooth == pytest.approx(0)
    assert grainy > 5
    assert rows[0].errors.count == 1
