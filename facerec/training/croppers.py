"""Load the models that crop the training pictures."""

from pathlib import Path
from typing import TypeVar

import numpy as np

from facerec.inference.cropping import CROP_SIZE
from facerec.inference.detector import FaceDetector
from facerec.inference.errors import ModelFileError
from facerec.inference.face_cropper import FaceCropper, central_face
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import Alignment
from facerec.training.crop_pictures import PictureCropper
from facerec.training.dlib_resnet import CHIP_SIZE, REFERENCE_POINTS
from facerec.training.errors import DataError
from facerec.training.options import RecognizerDataOptions, RecognizerModelOptions
from facerec.training.recognition.student import student_alignment

Model = TypeVar("Model", FaceDetector, LandmarkPredictor)


def load_cropper(data: RecognizerDataOptions, model: RecognizerModelOptions) -> PictureCropper:
    """What crops the pictures for a recognizer that is trained.

    Raises:
        DataError: a model's file is missing, altered or of another version.
    """
    alignment = None
    if model.backbone == "dlib-resnet":
        alignment = _alignment(CHIP_SIZE, REFERENCE_POINTS)
    elif model.teacher != "none":
        alignment = student_alignment()
    elif model.align:  # the points of an average face lie where they lie in crops that are not aligned
        predictor = load_landmark_predictor(data.landmarks)
        alignment = _alignment(CROP_SIZE, predictor.mean_landmarks(central_face((CROP_SIZE, CROP_SIZE))))
    return load_aligned_cropper(data, alignment)


def load_aligned_cropper(data: RecognizerDataOptions, alignment: Alignment | None) -> PictureCropper:
    """What crops the pictures for a recognizer with this alignment.

    Raises:
        DataError: a model's file is missing, altered or of another version.
    """
    detector = load_detector(data.detector) if data.crop_mode == "detect" else None
    return PictureCropper(FaceCropper(load_landmark_predictor(data.landmarks), alignment), detector)


def load_detector(path: Path) -> FaceDetector:
    """Load a face detector.

    Raises:
        DataError: the file is missing, altered or of another version.
    """
    return _load(FaceDetector, path, "--detector names a face detector's file.")


def load_landmark_predictor(path: Path) -> LandmarkPredictor:
    """Load a landmark predictor.

    Raises:
        DataError: the file is missing, altered or of another version.
    """
    return _load(LandmarkPredictor, path, "--landmarks names a landmark predictor's file.")


def _load(model: type[Model], path: Path, advice: str) -> Model:
    try:
        return model.load(path, threads=1)
    except ModelFileError as error:
        raise DataError(f"{error}. {advice}") from error


def _alignment(crop_size: int, points: np.ndarray) -> Alignment:
    return Alignment(crop_size=crop_size, points=tuple((float(x), float(y)) for x, y in points))
