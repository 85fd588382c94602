from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facerec.inference.cropping import FACE_SIZE, crop_centre
from facerec.training.croppers import load_cropper, load_detector, load_landmark_predictor
from facerec.training.dlib_resnet import CHIP_SIZE, REFERENCE_POINTS
from facerec.training.errors import DataError
from facerec.training.options import RecognizerDataOptions, RecognizerModelOptions
from facerec.training.recognition.student import student_alignment
from tests.drawn_people import draw_person
from tests.toy_model import TOY_POINTS


@pytest.fixture
def options(detector: Path, landmarks: Path) -> RecognizerDataOptions:
    return RecognizerDataOptions(detector=detector, landmarks=landmarks)


def test_a_student_takes_faces_that_are_aligned_for_it(options: RecognizerDataOptions) -> None:
    assert load_cropper(options, RecognizerModelOptions()).cropper.alignment == student_alignment()


def test_without_a_teacher_faces_are_not_aligned_unless_told(options: RecognizerDataOptions) -> None:
    assert load_cropper(options, RecognizerModelOptions(teacher="none")).cropper.alignment is None


def test_aligned_faces_of_mobilenet_lie_where_those_that_are_not_aligned_do(options: RecognizerDataOptions) -> None:
    cropper = load_cropper(options, RecognizerModelOptions(teacher="none", align=True))
    alignment = cropper.cropper.alignment
    assert alignment is not None
    assert alignment.crop_size == 250
    assert np.array(alignment.points) == pytest.approx(np.array(TOY_POINTS) * FACE_SIZE + 125)
    picture = draw_person(0, 0)
    difference = cropper.cropper.crop_centre(picture).crop.astype(int) - crop_centre(picture)
    assert np.abs(difference).max() <= 1


def test_dlibs_network_takes_dlibs_chips(options: RecognizerDataOptions) -> None:
    alignment = load_cropper(options, RecognizerModelOptions(backbone="dlib-resnet")).cropper.alignment
    assert alignment is not None
    assert alignment.crop_size == CHIP_SIZE
    assert np.array(alignment.points) == pytest.approx(REFERENCE_POINTS)


def test_the_mode_centre_needs_no_detector(options: RecognizerDataOptions, landmarks: Path) -> None:
    assert load_cropper(options, RecognizerModelOptions()).detector is not None
    centre = RecognizerDataOptions(crop_mode="centre", detector=Path("missing.onnx"), landmarks=landmarks)
    cropper = load_cropper(centre, RecognizerModelOptions(teacher="none"))
    assert cropper.detector is None
    magenta = Image.new("RGB", (250, 250), "magenta")  # a face for the toy detector
    assert not cropper.crop(magenta).without_face


def test_a_missing_detector_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.onnx is missing.*--detector names a face detector's file"):
        load_detector(tmp_path / "missing.onnx")


def test_a_missing_landmark_predictor_is_an_error(tmp_path: Path, detector: Path) -> None:
    advice = r"--landmarks names a landmark predictor's file\.$"
    with pytest.raises(DataError, match=r"missing\.onnx is missing.*" + advice):
        load_landmark_predictor(tmp_path / "missing.onnx")
    with pytest.raises(DataError, match=advice):
        load_landmark_predictor(detector)
