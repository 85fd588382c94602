"""Choose the detector's threshold, and measure the detector on pictures that were not used to choose anything."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from tqdm import tqdm

from facerec.inference.cropping import Face
from facerec.inference.detector import FaceDetector
from facerec.inference.face_cropper import central_face
from facerec.training.dataset import FaceDataset
from facerec.training.detection.backgrounds import face_free_background
from facerec.training.detection.compositing import SyntheticScene
from facerec.training.detection.matching import MATCH_MIN_IOU, Scores, match_detections
from facerec.training.detection.synthetic_scenes import compose_scene, single_face_scene
from facerec.training.errors import FitError
from facerec.training.metrics import Proportion
from facerec.training.split import Indices, Split

SCENE_COUNT = 400
"""Number of synthetic scenes, and of pictures without a face, that each half of the unknown people gives."""
SINGLE_FACE_SCENE_COUNT = 100
"""Number of single-face scenes for each angle and each size."""
TESTED_DEGREES = (0, 15, 30, 45, 60, 180)
"""Clockwise angles of a single face of 100 pixels."""
TESTED_PIXELS = (12, 16, 20, 28, 40, 160)
"""Sizes of a single upright face."""
SCENE_SIDES = (256, 384, 512)
"""Sides in pixels of the synthetic scenes, in turn."""
THRESHOLD_RECALL = 0.975
"""Fraction of the validation faces that the threshold must find. A larger fraction takes a lower threshold, which more
things pass that are no faces."""


@dataclass(frozen=True)
class DetectionMetrics:
    """The test metrics of a detector, on people and pictures that it was not trained on.

    Attributes:
        recall: faces of 40 pixels and more in synthetic scenes that were found (intersection over union 0.5 or more).
        precision: detections in synthetic scenes that are faces. False detections of any size count.
        face_free: pictures without a face in which one was detected.
        photos: test images of known people whose face, in the middle of the image, was found.
        milliseconds: median time of a detection in one of these images, on one thread.
        turned: single faces that were found, by their angle in degrees.
        sized: single faces that were found, by their size in pixels.
        centre_error: 95th percentile of the distance from the true centre, as a fraction of the face's size.
        size_error: 95th percentile of the absolute logarithm of the ratio to the true size.
        angle_error: 95th percentile of the difference to the true angle, in degrees.
    """

    recall: Proportion
    precision: Proportion
    face_free: Proportion
    photos: Proportion
    milliseconds: float
    turned: dict[int, Proportion]
    sized: dict[int, Proportion]
    centre_error: float
    size_error: float
    angle_error: float


def choose_threshold(detector: FaceDetector, dataset: FaceDataset, indices: Indices, *, seed: int) -> float:
    """The highest threshold that still finds `THRESHOLD_RECALL` of the faces in synthetic scenes.

    Args:
        detector: with any threshold.
        dataset: the crops.
        indices: crops of the unknown people that choose the threshold.
        seed: of the scenes.

    Raises:
        FitError: the detector finds too few faces at any threshold.
    """
    matches = match_detections(detector, synthetic_scenes(dataset, indices, seed=seed))
    score = float(np.quantile(matches.face_scores, 1 - THRESHOLD_RECALL, method="lower"))
    threshold = math.floor(1e4 * score) / 1e4  # rounded up, it would lose the face with this score
    if not threshold:  # a face that is not found has score 0
        raise FitError(
            f"the detector finds {np.mean(matches.face_scores > 0):.1%} of the faces in synthetic scenes, and "
            f"{THRESHOLD_RECALL:.2%} are needed: train it for longer (--steps)."
        )
    return threshold


def evaluate_detector(detector: FaceDetector, dataset: FaceDataset, split: Split, *, seed: int) -> DetectionMetrics:
    """Measure the detector of a model file.

    Args:
        detector: with the threshold that is to be exported.
        dataset: the crops.
        split: which images are used for what.
        seed: of the synthetic scenes.

    Raises:
        FitError: the detector finds no face in synthetic scenes of `split.unknown_test`.
    """
    unknown = split.unknown_test
    threshold = detector.metadata.threshold
    matches = match_detections(detector, synthetic_scenes(dataset, unknown, seed=seed))
    errors = matches.errors[matches.errors[:, 0] >= threshold, 1:]
    if not len(errors):
        raise FitError("the detector finds no face at its threshold: train it for longer (--steps).")
    true = (matches.face_scores >= threshold).sum()
    false = (matches.false_positive_scores >= threshold).sum()
    face_free_scores = highest_scores(detector, face_free_pictures(dataset, unknown, seed=seed))
    found, seconds = [], []
    for index in tqdm(split.test, desc="Test images", unit=" pictures"):
        picture = Image.fromarray(dataset.crops[index])
        start = time.perf_counter()
        faces = detector.detect(picture)
        seconds.append(time.perf_counter() - start)
        found.append(_shows(faces, central_face(picture.size)))
    return DetectionMetrics(
        recall=Proportion.from_hits(matches.face_scores >= threshold),
        precision=Proportion.from_hits(np.repeat([True, False], [true, false])),
        face_free=Proportion.from_hits(face_free_scores >= threshold),
        photos=Proportion.from_hits(np.array(found)),
        milliseconds=1e3 * float(np.median(seconds)),
        turned={
            degrees: _single_face_recall(detector, dataset, unknown, size=100, degrees=degrees, seed=seed)
            for degrees in TESTED_DEGREES
        },
        sized={
            size: _single_face_recall(detector, dataset, unknown, size=size, degrees=0, seed=seed)
            for size in TESTED_PIXELS
        },
        centre_error=float(np.percentile(errors[:, 0], 95)),
        size_error=float(np.percentile(errors[:, 1], 95)),
        angle_error=float(np.percentile(errors[:, 2], 95)),
    )


def synthetic_scenes(dataset: FaceDataset, indices: Indices, *, seed: int) -> Iterable[SyntheticScene]:
    """Compose `SCENE_COUNT` scenes of the crops at `indices`, in several sizes."""
    for number in tqdm(range(SCENE_COUNT), desc="Synthetic scenes", unit=" pictures"):
        random = np.random.default_rng([seed, 0, number])
        yield compose_scene(dataset, indices, side=SCENE_SIDES[number % len(SCENE_SIDES)], random=random)


def face_free_pictures(dataset: FaceDataset, indices: Indices, *, seed: int) -> Iterable[Image.Image]:
    """Compose `SCENE_COUNT` pictures without a face from parts of the crops at `indices`."""
    for number in tqdm(range(SCENE_COUNT), desc="Pictures without a face", unit=" pictures"):
        yield face_free_background(dataset, indices, side=320, random=np.random.default_rng([seed, 1, number]))


def highest_scores(detector: FaceDetector, pictures: Iterable[Image.Image]) -> Scores:
    """The highest score of any candidate in each picture, 0 where there is none."""
    return np.array([max((face.score for face in detector.candidates(picture)), default=0.0) for picture in pictures])


def _single_face_recall(
    detector: FaceDetector, dataset: FaceDataset, indices: Indices, *, size: float, degrees: float, seed: int
) -> Proportion:
    """The proportion of single faces of a given size in pixels and clockwise angle that are detected."""
    hits = []
    for number in tqdm(
        range(SINGLE_FACE_SCENE_COUNT), desc=f"Faces of {size} pixels at {degrees} degrees", unit=" pictures"
    ):
        random = np.random.default_rng([seed, 3, number])
        picture, face = single_face_scene(dataset, indices, size=size, degrees=degrees, random=random)
        hits.append(_shows(detector.detect(picture), face))
    return Proportion.from_hits(np.array(hits))


def _shows(faces: Iterable[Face], expected: Face) -> bool:
    """Whether one of the detected faces is the expected one."""
    return any(face.iou(expected) >= MATCH_MIN_IOU for face in faces)
