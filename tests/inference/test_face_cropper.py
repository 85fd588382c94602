import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facerec.inference.alignment import Landmarks, crop_aligned
from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face, crop_centre, crop_face
from facerec.inference.errors import InvalidOutput
from facerec.inference.face_cropper import CroppedFace, FaceCropper, central_face
from facerec.inference.landmark_predictor import LandmarkPredictor
from tests.toy_model import (
    TOY_ALIGNMENT,
    TOY_POINTS,
    toy_landmark_graph,
    toy_landmark_metadata,
    write_model,
    write_toy_landmark_predictor,
)

FACE = Face(150, 120, 80, math.radians(25), 1)


@pytest.fixture
def aligning(predictor: LandmarkPredictor) -> FaceCropper:
    return FaceCropper(predictor, TOY_ALIGNMENT)


@pytest.fixture
def framing(predictor: LandmarkPredictor) -> FaceCropper:
    return FaceCropper(predictor, None)


def smooth(width: int = 300, height: int = 240) -> Image.Image:
    """A picture in which each place has its own colour."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([255 * x / width, 255 * y / height, 40 + 0 * x], axis=2).astype(np.uint8))


def with_dots(landmarks: Landmarks) -> Image.Image:
    picture = Image.new("RGB", (300, 240))
    for x, y in landmarks.round().astype(int).tolist():
        picture.paste("white", (x - 2, y - 2, x + 2, y + 2))
    return picture


def is_bright(crop: np.ndarray, points: tuple[tuple[float, float], ...]) -> list[bool]:
    return [crop[round(y) - 1 : round(y) + 1, round(x) - 1 : round(x) + 1].max() > 100 for x, y in points]


def test_an_aligned_crop_shows_the_points_where_the_metadata_says(aligning: FaceCropper) -> None:
    landmarks = aligning.crop_face(smooth(), FACE).landmarks
    assert landmarks is not None
    cropped = aligning.crop_face(with_dots(landmarks), FACE)
    assert cropped.crop.shape == (60, 60, 3)
    assert all(is_bright(cropped.crop, TOY_ALIGNMENT.points))
    assert cropped.landmarks == pytest.approx(landmarks)


def test_without_an_alignment_the_crop_is_the_framed_one(framing: FaceCropper, predictor: LandmarkPredictor) -> None:
    cropped = framing.crop_face(smooth(), FACE)
    assert np.array_equal(cropped.crop, crop_face(smooth(), FACE))
    assert cropped.landmarks == pytest.approx(predictor.predict(smooth(), FACE))


def test_points_that_are_not_a_faces_are_replaced_by_those_of_the_box(aligning: FaceCropper, tmp_path: Path) -> None:
    write_toy_landmark_predictor(tmp_path / "upside_down.onnx", tuple((x, -y) for x, y in TOY_POINTS))
    predictor = LandmarkPredictor.load(tmp_path / "upside_down.onnx", threads=1)
    cropped = FaceCropper(predictor, TOY_ALIGNMENT).crop_face(smooth(), FACE)
    assert cropped.landmarks is None
    # The toy's usual points are the mean ones of its metadata.
    assert np.abs(cropped.crop.astype(int) - aligning.crop_face(smooth(), FACE).crop).max() <= 1
    assert FaceCropper(predictor, None).crop_face(smooth(), FACE).landmarks is None


def test_sizes_are_those_of_the_metadata(aligning: FaceCropper, framing: FaceCropper) -> None:
    assert aligning.crop_size == 60
    assert aligning.face_size == pytest.approx(40)
    assert (framing.crop_size, framing.face_size) == (CROP_SIZE, FACE_SIZE)


@pytest.mark.parametrize(("sizes", "shrink"), [([20], 1), ([79, 500], 1), ([500, 81], 2), ([401], 10)])
def test_a_picture_may_be_so_small_that_the_smallest_face_stays_sharp(
    aligning: FaceCropper, sizes: list[float], shrink: int
) -> None:
    assert aligning.max_shrink([FACE._replace(size=size) for size in sizes]) == shrink


@pytest.mark.parametrize("size", [(300, 240), (100, 400), (1, 1)])
def test_the_centre_is_the_central_square(aligning: FaceCropper, framing: FaceCropper, size: tuple[int, int]) -> None:
    picture = smooth(*size)
    cropped = framing.crop_centre(picture)
    assert np.array_equal(cropped.crop, crop_centre(picture))
    assert cropped.landmarks is not None
    assert cropped.landmarks == pytest.approx(aligning.crop_centre(picture).landmarks)
    face = Face(size[0] / 2, size[1] / 2, min(size) / 2.2, 0, 1)
    assert central_face(size) == pytest.approx(face)
    expected = crop_aligned(picture, cropped.landmarks, np.array(TOY_ALIGNMENT.points), 60)
    assert np.array_equal(aligning.crop_centre(picture).crop, expected)


@pytest.mark.parametrize("face", [FACE._replace(x=-500), FACE._replace(x=0, y=0), FACE._replace(size=2000)])
def test_faces_beyond_the_edge_are_cropped_too(aligning: FaceCropper, face: Face) -> None:
    cropped = aligning.crop_face(smooth(), face)
    assert cropped.crop.shape == (60, 60, 3)


def test_nan_is_a_typed_error(tmp_path: Path) -> None:
    write_model(tmp_path / "nan.onnx", toy_landmark_graph(nan_for_white=True), toy_landmark_metadata())
    cropper = FaceCropper(LandmarkPredictor.load(tmp_path / "nan.onnx", threads=1), None)
    white = Image.new("RGB", (300, 240), "white")
    with pytest.raises(InvalidOutput):
        cropper.crop_face(white, FACE)
    with pytest.raises(InvalidOutput):
        cropper.crop_centre(white)


def test_a_face_is_scaled_with_its_picture(framing: FaceCropper) -> None:
    cropped = framing.crop_face(smooth(), FACE)
    assert cropped.landmarks is not None
    assert cropped.scaled(4).landmarks == pytest.approx(4 * cropped.landmarks)
    assert CroppedFace(cropped.crop, None).scaled(4).landmarks is None
