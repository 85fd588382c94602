import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facerec.inference.cropping import Face
from facerec.inference.landmark_predictor import LandmarkPredictor, place_points
from facerec.training.landmarks.evaluate import View, measure_errors, shrink, turn
from tests.toy_model import TOY_POINTS, write_toy_landmark_predictor

PICTURE = Image.new("RGB", (250, 250), "grey")
FACE = Face(120, 130, 100, 0, 1)
POINTS = np.array(TOY_POINTS)


def predictor(path: Path, points: np.ndarray = POINTS) -> LandmarkPredictor:
    write_toy_landmark_predictor(path, tuple((x, y) for x, y in points.tolist()))
    return LandmarkPredictor.load(path, threads=1)


def test_errors_are_fractions_of_the_distance_between_the_eyes(tmp_path: Path) -> None:
    moved = POINTS + np.array([(0, 0), (0, 0), (0, 0), (0, 0), (0.051, 0)])  # a tenth of the distance of 0.51
    views = [View(PICTURE, FACE, place_points(points, FACE)) for points in (POINTS, moved)]
    errors = measure_errors(predictor(tmp_path / "toy.onnx"), views, total=3)
    assert errors.mean == pytest.approx(0.1 / 10, abs=1e-5)
    assert errors.percentile_95 > 0.05
    assert (errors.implausible.count, errors.implausible.total, errors.not_found) == (0, 2, 1)


def test_points_that_are_not_plausible_are_counted_and_replaced(tmp_path: Path) -> None:
    views = [View(PICTURE, FACE, place_points(POINTS, FACE))]
    errors = measure_errors(predictor(tmp_path / "toy.onnx", -POINTS), views, total=1)
    assert errors.implausible.count == 1
    assert errors.mean == pytest.approx(0, abs=1e-6)  # the toy's mean points


def marked(point: np.ndarray) -> Image.Image:
    picture = PICTURE.copy()
    x, y = np.round(point).astype(int).tolist()
    picture.paste("white", (x - 4, y - 4, x + 4, y + 4))
    return picture


def place_of_mark(picture: Image.Image) -> np.ndarray:
    rows, columns = np.nonzero(np.asarray(picture)[..., 0] > 190)
    return np.array([columns.mean(), rows.mean()]) + 0.5


@pytest.mark.parametrize("degrees", [30, -30])
def test_turned_points_stay_on_what_they_mark(degrees: float) -> None:
    face = FACE._replace(angle=0.1)
    landmarks = place_points(POINTS, face)
    view = turn(View(marked(landmarks[0]), face, landmarks), degrees)
    assert view.landmarks[0] == pytest.approx(place_of_mark(view.picture), abs=1)
    assert view.landmarks == pytest.approx(place_points(POINTS, view.face), abs=1e-9)
    assert view.face.angle == pytest.approx(0.1 + math.radians(degrees))


def test_shrunk_points_stay_on_what_they_mark() -> None:
    landmarks = place_points(POINTS, FACE)
    view = shrink(View(marked(landmarks[4]), FACE, landmarks))
    assert view.picture.size == (100, 100)
    assert view.face.size == 40
    assert view.landmarks[4] == pytest.approx(place_of_mark(view.picture), abs=0.6)
    assert shrink(view).picture.size == (100, 100)
