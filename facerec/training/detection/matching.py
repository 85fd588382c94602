"""What a detector finds in scenes, compared with the faces that are there."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.cropping import Face
from facerec.inference.detector import FaceDetector
from facerec.training.detection.compositing import SyntheticScene

MIN_OVERLAP = 0.5
"""Intersection over union from which a face is found."""
SMALLEST = 40
"""Pixels of the faces that must be found."""
Scores = NDArray[np.float64]


class Found(NamedTuple):
    """What was detected in some scenes."""

    hits: Scores
    """The score of each true face of 40 pixels and more, 0 where it was not found."""
    false: Scores
    """The scores of what is no face."""
    errors: NDArray[np.float64]
    """`[H, 4]` of the faces found: score, distance in sizes, logarithm of the sizes' ratio, degrees between."""


def look_for_faces(detector: FaceDetector, pictures: Iterable[SyntheticScene]) -> Found:
    """Detect faces in synthetic scenes and compare them with the true ones."""
    hits: list[float] = []
    false: list[float] = []
    errors: list[tuple[float, float, float, float]] = []
    for scene in pictures:
        unmatched = list(range(len(scene.faces)))
        scores = np.zeros(len(scene.faces))
        for face in detector.candidates(Image.fromarray(scene.picture)):
            overlaps = [face.overlap(scene.faces[k]) for k in unmatched]
            if overlaps and max(overlaps) >= MIN_OVERLAP:
                k = unmatched.pop(int(np.argmax(overlaps)))
                scores[k] = face.score
                errors.append(_errors(face, scene.faces[k]))
            elif not _unsure(face, scene):
                false.append(face.score)
        hits += [score for score, face in zip(scores, scene.faces, strict=True) if face.size >= SMALLEST]
    return Found(np.array(hits), np.array(false), np.array(errors).reshape(-1, 4))


def _errors(face: Face, true: Face) -> tuple[float, float, float, float]:
    return (
        face.score,
        math.hypot(face.x - true.x, face.y - true.y) / true.size,
        abs(math.log(face.size / true.size)),
        math.degrees(abs(face.angle - true.angle)),
    )


def _unsure(face: Face, scene: SyntheticScene) -> bool:
    """Whether the middle of `face` is where nobody labelled faces."""
    last = len(scene.picture) - 1
    column, row = (min(max(int(place), 0), last) for place in (face.x, face.y))
    return bool(scene.unsure[row, column])
