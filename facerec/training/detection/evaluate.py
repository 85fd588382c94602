"""Choose the detector's threshold on some strangers, and measure it on others and on the known people's test images."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from tqdm import tqdm

from facerec.inference.cropping import Face, crop_face
from facerec.inference.detector import FaceDetector
from facerec.inference.recognizer import Recognizer
from facerec.training.dataset import FaceDataset
from facerec.training.detection.backgrounds import face_free
from facerec.training.detection.compositing import SyntheticScene
from facerec.training.detection.matching import MIN_OVERLAP, Scores, look_for_faces
from facerec.training.detection.synthetic_scenes import compose_scene, recognition_scene, single_face_scene
from facerec.training.errors import TrainingError
from facerec.training.metrics import Proportion
from facerec.training.split import Indices, Split

PICTURES = 400
"""Synthetic scenes, and pictures without a face, of each half of the strangers."""
SINGLE_FACE_SCENES = 100
"""Pictures of one face for each turn and size of face."""
TURNS = (0, 15, 30, 45, 60, 180)
"""Degrees clockwise of a face of 100 pixels."""
SIZES = (12, 16, 20, 28, 40, 160)
"""Pixels of an upright face."""
SIDES = (256, 384, 512)
"""Of the scenes, in pixels."""
RECALL = 0.9825
"""Share of the faces that the threshold must let pass, on the strangers that choose it: 97 % of others' are wanted, and
the halves differ."""


@dataclass(frozen=True)
class DetectionMetrics:
    """What `model/face_detector.json` says under `metrics`; on people and pictures that it never learned from.

    Attributes:
        recall: faces of 40 pixels and more in synthetic scenes that were found (intersection over union 0.5 or more).
        precision: detected faces in synthetic scenes that are faces; false ones of any size count.
        face_free: pictures without a face in which one was detected.
        centre: test images named rightly, cropped by their centre.
        auto: the same images named rightly, cropped by the detector.
        scenes: the same images in larger composed pictures named rightly.
        turned: upright faces and turned ones, alone in a picture, that were found, by degrees.
        sized: small and large faces, alone in a picture, that were found, by pixels.
        centre_error: distance of a detected face from its true centre, as a share of its size: 95th percentile.
        size_error: of the size, in logarithm: 95th percentile.
        angle_error: of the angle, in degrees: 95th percentile.
        time_ratio: time to detect at 320 x 320 pixels over that of one recognition, on one thread: median.
    """

    recall: Proportion
    precision: Proportion
    face_free: Proportion
    centre: Proportion
    auto: Proportion
    scenes: Proportion
    turned: dict[int, Proportion]
    sized: dict[int, Proportion]
    centre_error: float
    size_error: float
    angle_error: float
    time_ratio: float

    def values(self) -> dict[str, float]:
        """Each figure that is one number."""
        numbers = {name: value.value if isinstance(value, Proportion) else value for name, value in vars(self).items()}
        return {name: value for name, value in numbers.items() if isinstance(value, float)}


def choose_threshold(detector: FaceDetector, dataset: FaceDataset, indices: Indices, *, seed: int) -> float:
    """The highest score that still finds most faces in synthetic scenes of the strangers `images`.

    Raises:
        TrainingError: it doesn't find that many at any threshold.
    """
    found = look_for_faces(detector, scenes(dataset, indices, seed=seed))
    lowest = float(np.quantile(found.hits, 1 - RECALL, method="lower"))
    threshold = math.floor(1e4 * lowest) / 1e4  # rounded up it would lose that face
    if not threshold:  # the score of a face that was not found
        raise TrainingError(
            f"the detector finds {np.mean(found.hits > 0):.1%} of the faces in scenes, and {RECALL:.2%} are needed: "
            "train it for longer (--detector-steps)."
        )
    return threshold


def evaluate_detector(
    detector: FaceDetector, recognizer: Recognizer, dataset: FaceDataset, split: Split, *, seed: int
) -> DetectionMetrics:
    """Measure the detector of a model file together with the recognizer of another.

    Args:
        detector: with the threshold that is to be exported.
        recognizer: trained with the same split: its test images are the ones that it is asked to name.
        faces: the data set.
        split: who plays which role.
        seed: of the composed pictures.

    Raises:
        TrainingError: it finds no face in synthetic scenes of strangers that did not choose its threshold.
    """
    images = split.unknown_test
    threshold = detector.metadata.threshold
    found = look_for_faces(detector, scenes(dataset, images, seed=seed))
    errors = found.errors[found.errors[:, 0] >= threshold, 1:]
    if not len(errors):
        raise TrainingError("the detector finds no face at its threshold: train it for longer (--detector-steps).")
    true, false = (found.hits >= threshold).sum(), (found.false >= threshold).sum()
    free = highest_scores(detector, face_free_pictures(dataset, images, seed=seed))
    random = np.random.default_rng([seed, 2])
    detected, crops, places = [], [], []
    for image in tqdm(split.test, desc="Test images", unit=" pictures"):
        crop = Image.fromarray(dataset.crops[image])
        detected.append(_name(detector, recognizer, crop))
        picture, face = recognition_scene(dataset, image, images, random=random)
        places.append(_name(detector, recognizer, picture, face))
        crops.append(int(recognizer.recognize(dataset.crops[image][None]).similarities.argmax()))
    labels = split.labels[split.test]
    return DetectionMetrics(
        recall=Proportion.from_hits(found.hits >= threshold),
        precision=Proportion.from_hits(np.repeat([True, False], [true, false])),
        face_free=Proportion.from_hits(free >= threshold),
        centre=Proportion.from_hits(np.array(crops) == labels),
        auto=Proportion.from_hits(np.array(detected) == labels),
        scenes=Proportion.from_hits(np.array(places) == labels),
        turned={turn: _found_alone(detector, dataset, images, size=100, degrees=turn, seed=seed) for turn in TURNS},
        sized={size: _found_alone(detector, dataset, images, size=size, degrees=0, seed=seed) for size in SIZES},
        centre_error=float(np.percentile(errors[:, 0], 95)),
        size_error=float(np.percentile(errors[:, 1], 95)),
        angle_error=float(np.percentile(errors[:, 2], 95)),
        time_ratio=_time_ratio(detector, recognizer, dataset, split),
    )


def scenes(dataset: FaceDataset, indices: Indices, *, seed: int) -> Iterable[SyntheticScene]:
    """Synthetic scenes of `images` in several sizes."""
    for number in tqdm(range(PICTURES), desc="Synthetic scenes", unit=" pictures"):
        random = np.random.default_rng([seed, 0, number])
        yield compose_scene(dataset, indices, side=SIDES[number % len(SIDES)], random=random)


def face_free_pictures(dataset: FaceDataset, indices: Indices, *, seed: int) -> Iterable[Image.Image]:
    """Pictures without a face, made of parts of `images`."""
    for number in tqdm(range(PICTURES), desc="Pictures without a face", unit=" pictures"):
        yield face_free(dataset, indices, side=320, random=np.random.default_rng([seed, 1, number]))


def highest_scores(detector: FaceDetector, pictures: Iterable[Image.Image]) -> Scores:
    """The score of the likeliest face of each picture, 0 where there is none at all."""
    return np.array([max((face.score for face in detector.candidates(picture)), default=0.0) for picture in pictures])


def _found_alone(
    detector: FaceDetector, dataset: FaceDataset, indices: Indices, *, size: float, degrees: float, seed: int
) -> Proportion:
    """How often the only face of a picture is detected, at that size and so turned."""
    hits = []
    for number in tqdm(
        range(SINGLE_FACE_SCENES), desc=f"Faces of {size} pixels at {degrees} degrees", unit=" pictures"
    ):
        random = np.random.default_rng([seed, 3, number])
        picture, face = single_face_scene(dataset, indices, size=size, degrees=degrees, random=random)
        hits.append(any(found.overlap(face) >= MIN_OVERLAP for found in detector.detect(picture)))
    return Proportion.from_hits(np.array(hits))


def _name(detector: FaceDetector, recognizer: Recognizer, picture: Image.Image, wanted: Face | None = None) -> int:
    """The class of the most prominent face of `picture`, or of the one at `wanted`; -1 where it was not detected."""
    detected = detector.detect(picture)
    if wanted:
        detected = [face for face in detected if face.overlap(wanted) >= MIN_OVERLAP]
    if not detected:
        return -1
    return int(recognizer.recognize(crop_face(picture, detected[0])[None]).similarities.argmax())


def _time_ratio(
    detector: FaceDetector, recognizer: Recognizer, dataset: FaceDataset, split: Split, *, rounds: int = 30
) -> float:
    """Median time to detect over median time to recognize, measured in turns."""
    times = []
    for image in split.test[:rounds]:
        crop = dataset.crops[image][None]
        picture = Image.fromarray(crop[0]).resize((320, 320))
        start = time.perf_counter()
        detector.candidates(picture)
        middle = time.perf_counter()
        recognizer.recognize(crop)
        times.append((middle - start, time.perf_counter() - middle))
    detecting, recognizing = np.median(times, axis=0)
    return float(detecting / recognizing)
