import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from facerec.inference.alignment import landmarks_plausible
from facerec.inference.cropping import Face
from facerec.inference.errors import InvalidOutput, ModelFileError
from facerec.inference.landmark_predictor import LandmarkPredictor, crop_for_landmarks, place_points
from tests.toy_model import (
    TOY_POINTS,
    toy_landmark_graph,
    toy_landmark_metadata,
    write_model,
    write_toy_landmark_predictor,
)

FACE = Face(60, 40, 50, 0, 1)
PICTURE = Image.new("RGB", (120, 90), "grey")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "toy_landmarks.onnx"


@pytest.fixture
def predictor(path: Path) -> LandmarkPredictor:
    write_toy_landmark_predictor(path)
    return LandmarkPredictor.load(path, threads=1)


@pytest.mark.parametrize("degrees", [0, 17, -90, 180])
def test_points_lie_in_the_faces_square_turned_by_its_angle(predictor: LandmarkPredictor, degrees: float) -> None:
    angle = math.radians(degrees)
    face = FACE._replace(angle=angle)
    landmarks = predictor.predict(PICTURE, face)
    assert landmarks is not None
    # In complex numbers, turning clockwise (y points down) is a product.
    expected = [complex(60, 40) + 50 * complex(x, y) * complex(math.cos(angle), math.sin(angle)) for x, y in TOY_POINTS]
    assert landmarks == pytest.approx(np.array([(z.real, z.imag) for z in expected]), abs=1e-4)
    assert predictor.mean_landmarks(face) == pytest.approx(landmarks, abs=1e-4)
    assert landmarks.dtype == np.float64


def test_a_face_of_a_turned_picture(predictor: LandmarkPredictor) -> None:
    turned = FACE.turned(90, (90, 120))
    landmarks, upright = predictor.predict(PICTURE, turned), predictor.predict(PICTURE, FACE)
    assert landmarks is not None
    assert upright is not None
    assert landmarks == pytest.approx(np.stack([90 - upright[:, 1], upright[:, 0]], axis=1), abs=1e-4)


def test_points_that_are_not_a_faces_are_none(path: Path) -> None:
    write_toy_landmark_predictor(path, tuple((x, -y) for x, y in TOY_POINTS))
    assert LandmarkPredictor.load(path, threads=1).predict(PICTURE, FACE) is None


def test_the_crop_is_the_faces_square_enlarged() -> None:
    picture = Image.new("RGB", (400, 300), "white")
    picture.paste("black", (150, 100, 250, 200))
    crop = crop_for_landmarks(picture, Face(200, 150, 100, 0, 1), size=60, enlargement=1.5)
    assert crop.shape == (60, 60, 3)
    assert crop[12:48, 12:48].max() == 0
    assert crop[:8].min() == crop[:, -8:].min() == 255


def test_what_a_crop_shows_is_at_the_place_that_points_say() -> None:
    picture = Image.new("RGB", (200, 200))
    face = Face(90, 110, 64, math.radians(25), 1)
    point = np.array([(0.3, -0.2)])
    (place,) = place_points(point, face)
    centre = np.round(place).astype(int).tolist()
    picture.paste("white", (centre[0] - 3, centre[1] - 3, centre[0] + 3, centre[1] + 3))
    crop = crop_for_landmarks(picture, face, size=96, enlargement=1.5)
    rows, columns = np.nonzero(crop[..., 0] > 127)
    found = (np.array([columns.mean(), rows.mean()]) + 0.5) / 64 - 0.75
    assert found == pytest.approx(point[0], abs=0.02)


def test_nan_is_a_typed_error(path: Path) -> None:
    write_model(path, toy_landmark_graph(nan_for_white=True), toy_landmark_metadata())
    predictor = LandmarkPredictor.load(path, threads=1)
    assert predictor.predict(PICTURE, FACE) is not None
    with pytest.raises(InvalidOutput):
        predictor.predict(Image.new("RGB", (300, 300), "white"), Face(150, 150, 50, 0, 1))


@pytest.mark.parametrize(
    ("update", "message"),
    [({"crop_size": 48}, "its metadata says 48 pixels"), ({"mean_points": ((0.0, 0.0),) * 5}, "the mean points")],
)
def test_metadata_that_does_not_fit_is_refused(path: Path, update: dict[str, object], message: str) -> None:
    write_model(path, toy_landmark_graph(), toy_landmark_metadata().model_copy(update=update))
    with pytest.raises(ModelFileError, match=rf"toy_landmarks\.onnx can't be used: .*{message}"):
        LandmarkPredictor.load(path, threads=1)


def test_another_number_of_points_is_refused(path: Path) -> None:
    write_model(path, toy_landmark_graph(TOY_POINTS[:4]), toy_landmark_metadata())
    with pytest.raises(ModelFileError, match=r"toy_landmarks\.onnx can't be used: its output points"):
        LandmarkPredictor.load(path, threads=1)


def test_another_number_of_faces_is_refused(path: Path) -> None:
    graph = toy_landmark_graph()
    graph.node[-1].output[0] = "once"
    graph.node.append(onnx.helper.make_node("Concat", ["once", "once"], ["points"], axis=0))
    write_model(path, graph, toy_landmark_metadata())
    with pytest.raises(ModelFileError, match=r"its output points has shape \(2, 5, 2\)"):
        LandmarkPredictor.load(path, threads=1)


def test_the_toys_points_are_plausible() -> None:
    assert landmarks_plausible(place_points(np.array(TOY_POINTS), FACE), FACE)
