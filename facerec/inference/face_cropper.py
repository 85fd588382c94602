"""Cut the faces out of a picture as a recognizer takes them: find their points, and align them by these if it wants.

Training and inference use the same functions, so that a network is trained on what it will later be given.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.alignment import Landmarks, crop_aligned, fit_similarity
from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face, crop_centre, crop_face
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import Alignment


class CroppedFace(NamedTuple):
    """A face as a recognizer takes it."""

    crop: NDArray[np.uint8]
    """uint8 `[S, S, 3]`, RGB, 0 to 255, upright."""
    landmarks: Landmarks | None
    """The points of the face, in pixels of the picture. `None` where those that were found can't be a face's."""

    def scaled(self, factor: float) -> Self:
        """The same face of a picture that is `factor` times as large."""
        return self if self.landmarks is None else self._replace(landmarks=self.landmarks * factor)


class FaceCropper:
    """Cuts faces out of pictures for one recognizer. Safe to use from several threads at once.

    Args:
        predictor: finds the points of a face.
        alignment: of the recognizer's metadata.
    """

    def __init__(self, predictor: LandmarkPredictor, alignment: Alignment | None) -> None:
        self.alignment = alignment
        self._predictor = predictor
        self.crop_size = alignment.crop_size if alignment else CROP_SIZE
        """Side of a crop in pixels."""
        self.face_size = _face_size(predictor, alignment) if alignment else FACE_SIZE
        """Side in pixels of an average face's square in a crop. A picture with smaller faces gives blurred crops."""

    def key(self) -> str:
        """A text that differs between croppers whose crops may differ."""
        return f"{self._predictor.checksum} {self.alignment and self.alignment.model_dump_json()}"

    def max_shrink(self, faces: Sequence[Face]) -> int:
        """How many times smaller a picture may be decoded without giving blurred crops of its `faces`; at least 1."""
        return max(1, int(min(face.size for face in faces) / self.face_size + 1e-9))

    def crop_face(self, picture: Image.Image, face: Face) -> CroppedFace:
        """Cut out a face.

        If the points can't be those of a face, the crop is aligned by the square of `face`, as if its points were those
        of an average face.

        Args:
            picture: upright, of any mode.
            face: in pixels of `picture`.

        Raises:
            InvalidOutput: a predicted point is NaN or infinity.
        """
        landmarks = self._predictor.predict(picture, face)
        if not self.alignment:
            return CroppedFace(crop_face(picture, face), landmarks)
        points = self._predictor.mean_landmarks(face) if landmarks is None else landmarks
        reference = np.array(self.alignment.points)
        return CroppedFace(crop_aligned(picture, points, reference, self.crop_size), landmarks)

    def crop_centre(self, picture: Image.Image) -> CroppedFace:
        """Cut the central square out of a picture, or the face in it where faces are aligned.

        Args:
            picture: upright, of any mode.

        Raises:
            InvalidOutput: a predicted point is NaN or infinity.
        """
        face = central_face(picture.size)
        if self.alignment:
            return self.crop_face(picture, face)
        return CroppedFace(crop_centre(picture), self._predictor.predict(picture, face))


def central_face(size: tuple[int, int]) -> Face:
    """The face of a picture's central square, in its middle and as large as in LFW's pictures.

    Args:
        size: width and height of the picture.
    """
    width, height = size
    return Face(width / 2, height / 2, min(size) * FACE_SIZE / CROP_SIZE, angle=0, score=1)


def _face_size(predictor: LandmarkPredictor, alignment: Alignment) -> float:
    """Side in pixels of the square of an average face in an aligned crop."""
    unit_face = Face(0, 0, 1, angle=0, score=1)
    similarity = fit_similarity(predictor.mean_landmarks(unit_face), np.array(alignment.points))
    return math.hypot(similarity[0, 0], similarity[1, 0])
