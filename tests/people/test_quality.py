"""Which faces are good enough to be enrolled."""

import math
from collections import Counter
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from facerec.inference.alignment import Landmarks
from facerec.inference.cropping import Face
from facerec.inference.detector import FaceDetector
from facerec.inference.face_cropper import FaceCropper
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import ACCURATE_RECOGNIZER_FILE
from facerec.inference.recognizer import FaceRecognizer
from facerec.inference.results import PictureResult
from facerec.inference.sharpness import measure_sharpness
from facerec.people.errors import (
    FaceBlurred,
    FaceTooSmall,
    FaceTurned,
    LikeAnotherPerson,
    NoFace,
    SampleRefused,
    SeveralFaces,
    UnlikePerson,
)
from facerec.people.gallery import Known, Snapshot
from facerec.people.names import canonical_name
from facerec.people.quality import Quality, check_likeness, choose_face, measure
from facerec.people.samples import Box, Vector, normalize
from facerec.training.dataset import FaceDataset
from facerec.training.split import Split
from tests.shipped import DETECTOR, LANDMARKS, RECOGNIZER, ROOT, needs_lfw

GOOD = Quality(eye_distance=60, sharpness=0.4, turn=0.05)


def picture(*faces: Face) -> PictureResult:
    """The result for a picture of 400 x 300 pixels."""
    return PictureResult(None, list(faces), [], [], "", 400, 300)


def face(x: float, y: float, size: float) -> Face:
    return Face(x, y, size, angle=0, score=0.9)


def test_the_face_of_a_picture_is_chosen() -> None:
    assert choose_face(picture(face(200, 150, 80)), None) == 0
    assert choose_face(picture(face(200, 150, 80), face(30, 40, 40)), None) == 0
    with pytest.raises(NoFace):
        choose_face(picture(), None)
    with pytest.raises(NoFace):
        choose_face(picture(), Box(200, 150, 80))


def test_of_several_people_a_box_says_which() -> None:
    couple = picture(face(140, 150, 80), face(260, 150, 75))
    with pytest.raises(SeveralFaces):
        choose_face(couple, None)
    assert choose_face(couple, Box(141, 152, 78)) == 0
    assert choose_face(couple, Box(250, 130, 110)) == 1  # with forehead and chin
    with pytest.raises(NoFace):
        choose_face(couple, Box(200, 20, 60))


def points(*, eyes: float, nose_aside: float = 0.0, angle: float = 0.0) -> Landmarks:
    """Points with the eyes `eyes` pixels apart and the nose `nose_aside` of this aside, turned by `angle`."""
    upright = np.array([(0.7, 0), (0.3, 0), (-0.7, 0), (-0.3, 0), (nose_aside, 0.7)]) * eyes
    cos, sin = math.cos(angle), math.sin(angle)
    turned: Landmarks = upright @ np.array([(cos, sin), (-sin, cos)]) + (100, 120)
    return turned


@pytest.mark.parametrize("angle", [0.0, 0.5, math.pi])
def test_the_eyes_and_the_nose_are_measured_at_any_angle(angle: float) -> None:
    quality = measure(points(eyes=40, nose_aside=-0.25, angle=angle), 0.3)
    assert quality.eye_distance == pytest.approx(40)
    assert quality.turn == pytest.approx(0.25)
    assert quality.sharpness == 0.3


def test_a_face_without_points_is_turned_too_far() -> None:
    with pytest.raises(FaceTurned):
        measure(None, 0.3)


def test_faces_beyond_a_limit_are_refused() -> None:
    GOOD.check()
    with pytest.raises(FaceTooSmall, match="14 pixels apart, and 15 are needed"):
        GOOD._replace(eye_distance=14).check()
    with pytest.raises(FaceBlurred):
        GOOD._replace(sharpness=0.1).check()
    with pytest.raises(FaceTurned):
        GOOD._replace(turn=0.5).check()


def test_the_quality_is_that_of_the_worst() -> None:
    assert GOOD.value == 1
    assert GOOD._replace(eye_distance=15).value == 0.5
    assert GOOD._replace(sharpness=0.14, eye_distance=20).value == pytest.approx(0.5)
    assert GOOD._replace(turn=0.4).value == pytest.approx(0.5)


def unit(degrees: float) -> Vector:
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], np.float32)


def snapshot(**people: Vector) -> Snapshot:
    return Snapshot(
        tuple(Known(canonical_name(name), uuid4(), 1, shipped=False) for name in people), np.stack([*people.values()])
    )


THRESHOLD = 0.5
"""Of the recognizer of the next tests: faces up to 60 degrees apart are the same person's."""


def test_a_face_that_is_very_like_another_person_is_refused_and_the_person_named() -> None:
    known = snapshot(Ada_Lovelace=unit(0), Bob=unit(90))
    with pytest.raises(LikeAnotherPerson, match="very like Ada Lovelace"):
        check_likeness(unit(20), "Cy", None, known, THRESHOLD)
    check_likeness(unit(20), "Ada_Lovelace", None, known, THRESHOLD)
    check_likeness(unit(200), "Cy", None, known, THRESHOLD)
    check_likeness(unit(30), "Cy", unit(31), known, THRESHOLD)  # more like its own person


def test_a_face_that_is_unlike_the_person_is_refused() -> None:
    known = snapshot(Ada=unit(0))
    check_likeness(unit(70), "Ada", unit(0), known, THRESHOLD)
    with pytest.raises(UnlikePerson):
        check_likeness(unit(100), "Ada", unit(0), known, THRESHOLD)


@pytest.mark.slow
@needs_lfw
@pytest.mark.parametrize(
    ("model", "most"),
    [(RECOGNIZER, 0.03), (ROOT / "model" / ACCURATE_RECOGNIZER_FILE, 0.02)],
    ids=["default", "accurate"],
)
def test_few_pictures_of_new_people_are_refused(lfw: FaceDataset, lfw_split: Split, model: Path, most: float) -> None:
    """The default model is less sure of people whom it never saw."""
    detector, recognizer = FaceDetector.load(DETECTOR, threads=1), FaceRecognizer.load(model, threads=1)
    cropper = FaceCropper(LandmarkPredictor.load(LANDMARKS, threads=1), recognizer.metadata.alignment)
    images = [(str(person), index) for person, part in enumerate(lfw_split.new_people) for index in part.tolist()]
    assert len(images) == 659
    accepted: list[tuple[str, Vector]] = []
    refused: Counter[str] = Counter()
    for name, index in images:
        image = Image.fromarray(lfw.crops[index])
        try:
            found = PictureResult(None, detector.detect(image), [], [], "", *image.size)
            cropped = cropper.crop_face(image, found.faces[choose_face(found, None)])
            measure(cropped.landmarks, measure_sharpness(cropped.crop, cropper.face_size)).check()
        except SampleRefused as error:
            refused[error.code] += 10
        else:
            accepted.append((name, recognizer.recognize(cropped.crop[None]).embeddings[0]))
    for seed in range(10):
        totals: dict[str, Vector] = {}
        for place in np.random.default_rng(seed).permutation(len(accepted)):
            name, embedding = accepted[place]
            templates = {other: normalize(total) for other, total in totals.items()}
            try:
                if templates:
                    own = templates.get(name)
                    check_likeness(embedding, name, own, snapshot(**templates), recognizer.metadata.threshold)
            except SampleRefused as error:
                refused[error.code] += 1
            else:
                totals[name] = totals.get(name, np.zeros_like(embedding)) + embedding
    assert refused.total() / 10 <= most * len(images), refused  # the mean of ten orders of enrolling
