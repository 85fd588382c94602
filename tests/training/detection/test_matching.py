import numpy as np
import pytest
from PIL import Image

from facerec.inference.cropping import Face
from facerec.inference.detector import FaceDetector
from facerec.training.detection.compositing import SyntheticScene
from facerec.training.detection.matching import look_for_faces


class Finding(FaceDetector):
    """A detector that finds the same in every picture."""

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)

    def candidates(self, picture: Image.Image) -> list[Face]:
        return self.faces


def scene_with(*faces: Face) -> SyntheticScene:
    """Of 200 x 200 pixels, unsure in its right half."""
    unsure = np.zeros((200, 200), bool)
    unsure[:, 100:] = True
    return SyntheticScene(np.zeros((200, 200, 3), np.uint8), list(faces), unsure)


def test_each_face_is_found_once_and_small_ones_do_not_count() -> None:
    true = [Face(50, 50, 50, 0, 1), Face(50, 150, 40, 0, 1), Face(20, 20, 20, 0, 1)]
    found = look_for_faces(
        Finding(
            Face(55, 50, 50, 0.1, 0.9),  # the first face
            Face(52, 50, 50, 0, 0.8),  # again: false
            Face(20, 20, 20, 0, 0.7),  # the small one: neither found nor false
            Face(150, 150, 40, 0, 0.6),  # where nobody labelled
            Face(20, 190, 40, 0, 0.5),  # nothing there: false
        ),
        [scene_with(*true)],
    )
    assert found.hits.tolist() == [0.9, 0]
    assert sorted(found.false.tolist()) == [0.5, 0.8]
    assert found.errors[0] == pytest.approx([0.9, 0.1, 0, np.degrees(0.1)])
