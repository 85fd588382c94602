import numpy as np
import pytest
from PIL import Image

from facerec.inference.cropping import Face
from facerec.inference.detector import FaceDetector
from facerec.training.detection.compositing import SyntheticScene
from facerec.training.detection.matching import match_detections


class FixedDetector(FaceDetector):
    """A detector that returns the same faces for every picture."""

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)

    def candidates(self, picture: Image.Image, *, most: int | None = None) -> list[Face]:
        return self.faces


def make_scene(*faces: Face) -> SyntheticScene:
    """A scene of 200 x 200 pixels whose right half is under the ignore mask."""
    ignore_mask = np.zeros((200, 200), bool)
    ignore_mask[:, 100:] = True
    return SyntheticScene(np.zeros((200, 200, 3), np.uint8), list(faces), ignore_mask)


def test_each_face_matches_one_detection_and_small_faces_do_not_count() -> None:
    true = [Face(50, 50, 50, 0, 1), Face(50, 150, 40, 0, 1), Face(20, 20, 20, 0, 1)]
    matches = match_detections(
        FixedDetector(
            Face(55, 50, 50, 0.1, 0.9),  # matches the first face
            Face(52, 50, 50, 0, 0.8),  # a second detection of the first face: a false positive
            Face(20, 20, 20, 0, 0.7),  # matches the small face: counts neither as found nor as a false positive
            Face(150, 150, 40, 0, 0.6),  # under the ignore mask
            Face(20, 190, 40, 0, 0.5),  # on the background: a false positive
        ),
        [make_scene(*true)],
    )
    assert matches.face_scores.tolist() == [0.9, 0]
    assert sorted(matches.false_positive_scores.tolist()) == [0.5, 0.8]
    assert matches.errors[0] == pytest.approx([0.9, 0.1, 0, np.degrees(0.1)])
