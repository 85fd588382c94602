"""Measure the landmark predictor against dlib's points, on pictures of people that it was not trained on."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from facerec.inference.alignment import Landmarks, eye_distances
from facerec.inference.cropping import Face
from facerec.inference.detector import FaceDetector
from facerec.inference.landmark_predictor import LandmarkPredictor, place_points
from facerec.training.dataset import FaceDataset
from facerec.training.landmarks.labels import UPRIGHT_FACE, LabelledFaces
from facerec.training.metrics import Proportion, single_numbers

TURNED_DEGREES = 30
"""Angle by which test pictures are turned, one clockwise, the next counterclockwise, and so on."""
SMALL_PIXELS = 40
"""Size of the faces of test pictures that are shrunk."""
SAME_FACE_MIN_IOU = 0.3
"""Intersection over union from which a face found in a changed picture is the labelled one."""
TIMED_RUNS = 500
"""Number of faces with which the time of a prediction is measured."""


@dataclass(frozen=True)
class PointErrors:
    """Distances of the predicted points from dlib's, as fractions of the distance between the middles of the eyes.

    Attributes:
        mean: over the five points of all faces. Where points are not plausible, those of a mean face stand in.
        percentile_95: over the same points.
        implausible: faces whose points are not plausible.
        not_found: labelled faces that the detector did not find in the changed picture. They are not measured.
    """

    mean: float
    percentile_95: float
    implausible: Proportion
    not_found: int


@dataclass(frozen=True)
class LandmarkMetrics:
    """The metrics of a landmark predictor.

    Attributes:
        validation: on pictures of background people that were kept from training.
        test: on test images of known people and on the test half of the unknown people.
        turned: on the same pictures, turned by 30 degrees and searched by the detector anew.
        small: on the same pictures, shrunk so that faces are 40 pixels large and searched by the detector anew.
        mean_points_error: the mean error on the test pictures if all faces had the points of a mean face.
        label_spread: how much dlib's own points scatter where its box is shifted by 4 % of its side: the standard
            deviation on the test pictures, as a fraction of the distance between the eyes.
        milliseconds: median time of a prediction on one thread, with the crop.
    """

    validation: PointErrors
    test: PointErrors
    turned: PointErrors
    small: PointErrors
    mean_points_error: float
    label_spread: float
    milliseconds: float

    def numbers(self) -> dict[str, float]:
        """All metrics that are single numbers, by name."""
        errors = {name: value for name, value in vars(self).items() if isinstance(value, PointErrors)}
        return single_numbers(self) | {
            f"{name}_{each}": number for name, value in errors.items() for each, number in single_numbers(value).items()
        }


class View(NamedTuple):
    """A picture, the face in it as the detector found it, and the points that dlib gives this face."""

    picture: Image.Image
    face: Face
    landmarks: Landmarks


def evaluate_landmarks(
    predictor: LandmarkPredictor,
    detector: FaceDetector,
    dataset: FaceDataset,
    *,
    validation: LabelledFaces,
    test: LabelledFaces,
) -> LandmarkMetrics:
    """Measure the predictor of a model file.

    Args:
        predictor: of the file.
        detector: finds the faces in changed pictures.
        dataset: pictures in the crop mode `centre`.
        validation: faces of these pictures that were kept from training.
        test: faces that chose nothing.
    """
    views = list(labelled_views(dataset, test))
    mean_points = np.array(predictor.metadata.mean_points)
    distances = np.linalg.norm(mean_points - test.points, axis=2) / eye_distances(test.points)[:, None]
    return LandmarkMetrics(
        validation=measure_errors(predictor, labelled_views(dataset, validation), total=len(validation.faces)),
        test=measure_errors(predictor, views, total=len(views)),
        turned=measure_errors(predictor, _detected(map(turn, views, _alternating()), detector), total=len(views)),
        small=measure_errors(predictor, _detected(map(shrink, views), detector), total=len(views)),
        mean_points_error=float(distances.mean()),
        label_spread=float(test.spreads.mean()),
        milliseconds=_milliseconds(predictor, views),
    )


def labelled_views(dataset: FaceDataset, faces: LabelledFaces) -> Iterator[View]:
    """The labelled faces in their pictures."""
    for index, face, points in zip(faces.indices.tolist(), faces.faces, faces.points, strict=True):
        yield View(Image.fromarray(dataset.crops[index]), face, place_points(points, face))


def measure_errors(predictor: LandmarkPredictor, views: Iterable[View], *, total: int) -> PointErrors:
    """Compare the predicted points with dlib's.

    Args:
        predictor: is measured.
        views: the faces.
        total: number of labelled faces. Those that are not among `views` were not found.
    """
    errors, implausible = [], []
    for picture, face, landmarks in views:
        found = predictor.predict(picture, face)
        implausible.append(found is None)
        if found is None:
            found = predictor.mean_landmarks(face)
        errors.append(np.linalg.norm(found - landmarks, axis=1) / eye_distances(landmarks))
    measured = np.array(errors).reshape(-1, 5)
    return PointErrors(
        mean=float(measured.mean()) if len(measured) else math.nan,
        percentile_95=float(np.percentile(measured, 95)) if len(measured) else math.nan,
        implausible=Proportion.from_hits(np.array(implausible, bool)),
        not_found=total - len(measured),
    )


def turn(view: View, degrees: float) -> View:
    """Turn a view clockwise around the picture's centre."""
    picture, face, landmarks = view
    turning = UPRIGHT_FACE._replace(x=picture.width / 2, y=picture.height / 2, angle=math.radians(degrees))
    centre = (turning.x, turning.y)
    (x, y), *_ = place_points(np.array([(face.x, face.y)]) - centre, turning)
    return View(
        picture.rotate(-degrees, Image.Resampling.BICUBIC),
        face._replace(x=float(x), y=float(y), angle=face.angle + turning.angle),
        place_points(landmarks - centre, turning),
    )


def shrink(view: View) -> View:
    """Shrink a view to a face of about 40 pixels. A smaller face is left as it is."""
    picture, face, landmarks = view
    width = min(picture.width, max(1, round(picture.width * SMALL_PIXELS / face.size)))
    factor = width / picture.width  # the pictures are square
    return View(picture.resize((width, width), Image.Resampling.BICUBIC), face.scaled(factor), landmarks * factor)


def _alternating() -> Iterator[float]:
    while True:
        yield TURNED_DEGREES
        yield -TURNED_DEGREES


def _detected(views: Iterable[View], detector: FaceDetector) -> Iterator[View]:
    """The views with their faces as the detector finds them. Views whose face it doesn't find are left out."""
    for view in views:
        found = max(detector.detect(view.picture), key=view.face.iou, default=None)
        if found and found.iou(view.face) >= SAME_FACE_MIN_IOU:
            yield view._replace(face=found)


def _milliseconds(predictor: LandmarkPredictor, views: list[View]) -> float:
    """The median time of a prediction."""
    times = []
    for number in range(TIMED_RUNS):
        picture, face, _ = views[number % len(views)]
        start = time.perf_counter()
        predictor.predict(picture, face)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))
