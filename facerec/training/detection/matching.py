"""Matching of detections to the labelled faces of synthetic scenes."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.cropping import Face
from facerec.inference.detector import FaceDetector
from facerec.training.detection.compositing import SyntheticScene

MATCH_MIN_IOU = 0.5
"""Smallest intersection over union, 0 to 1, of a detection and a labelled face that match."""

RECALL_FACE_MIN_PIXELS = 40
"""Smallest side in pixels of a labelled face that counts in the recall. Smaller faces may be missed."""

Scores = NDArray[np.float64]
"""Scores of detections, float64 `[K]`, 0 to 1."""


class DetectionMatches(NamedTuple):
    """The detections in a set of scenes, compared with the labelled faces."""

    face_scores: Scores
    """Score of the detection that matches each labelled face of 40 pixels or more, 0 where none does."""
    false_positive_scores: Scores
    """Score of each detection that matches no face and is not ignored."""
    errors: NDArray[np.float64]
    """float64 `[K, 4]`, one row for each detection that matches a face of any size: its score, distance of the centres
    as a fraction of the true size, absolute logarithm of the ratio of the sizes, absolute difference of the angles in
    degrees."""


def match_detections(detector: FaceDetector, scenes: Iterable[SyntheticScene]) -> DetectionMatches:
    """Run a detector on synthetic scenes and match its detections to the labelled faces.

    In the order of falling score, each detection matches the face that it overlaps most among those that are not yet
    matched. All candidates are matched, so that any threshold can be applied to the scores afterwards.
    """
    face_scores: list[float] = []
    false_positive_scores: list[float] = []
    errors: list[tuple[float, float, float, float]] = []
    for scene in scenes:
        unmatched = list(range(len(scene.faces)))
        scores = np.zeros(len(scene.faces))
        for face in detector.candidates(Image.fromarray(scene.picture)):
            ious = [face.iou(scene.faces[k]) for k in unmatched]
            if ious and max(ious) >= MATCH_MIN_IOU:
                k = unmatched.pop(int(np.argmax(ious)))
                scores[k] = face.score
                errors.append(_measure_errors(face, scene.faces[k]))
            elif not _is_ignored(face, scene):
                false_positive_scores.append(face.score)
        face_scores += [
            score for score, face in zip(scores, scene.faces, strict=True) if face.size >= RECALL_FACE_MIN_PIXELS
        ]
    return DetectionMatches(np.array(face_scores), np.array(false_positive_scores), np.array(errors).reshape(-1, 4))


def _measure_errors(face: Face, true: Face) -> tuple[float, float, float, float]:
    """Compare a detection with the labelled face that it matches: one row of `DetectionMatches.errors`."""
    return (
        face.score,
        math.hypot(face.x - true.x, face.y - true.y) / true.size,
        abs(math.log(face.size / true.size)),
        math.degrees(abs(face.angle - true.angle)),
    )


def _is_ignored(face: Face, scene: SyntheticScene) -> bool:
    """Whether the centre of a detection lies under the scene's ignore mask."""
    last = len(scene.picture) - 1
    column, row = (min(max(int(position), 0), last) for position in (face.x, face.y))
    return bool(scene.ignore_mask[row, column])
