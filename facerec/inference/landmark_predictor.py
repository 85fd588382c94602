"""The landmark predictor: a face in a picture in, five points of it out."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.alignment import Landmarks, landmarks_plausible
from facerec.inference.cropping import Crop, Face, crop_face
from facerec.inference.errors import ModelFileError
from facerec.inference.model_file import LANDMARK_INPUTS, LANDMARK_OUTPUTS, LandmarkMetadata
from facerec.inference.session import OnnxModel


class LandmarkPredictor(OnnxModel[LandmarkMetadata]):
    """A loaded landmark predictor. Safe to call from several threads at once."""

    metadata_type = LandmarkMetadata
    inputs = LANDMARK_INPUTS
    outputs = LANDMARK_OUTPUTS
    fixed_input_size = True

    def predict(self, picture: Image.Image, face: Face) -> Landmarks | None:
        """The five points of a face, or `None` where they can't be those of a face (`landmarks_plausible`).

        Args:
            picture: upright, of any mode.
            face: as the detector found it in `picture`, turned by any angle.

        Raises:
            InvalidOutput: the output holds NaN or infinity.
        """
        crop = crop_for_landmarks(picture, face, size=self.metadata.crop_size, enlargement=self.metadata.enlargement)
        landmarks = place_points(self.run(crop[None])[0], face)
        return landmarks if landmarks_plausible(landmarks, face) else None

    def mean_landmarks(self, face: Face) -> Landmarks:
        """The points of a mean face in the square of `face`: what stands in for points that `predict` rejects."""
        return place_points(np.array(self.metadata.mean_points), face)

    def run(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The graph's output `[N, 5, 2]` for crops, uint8 `[N, S, S, 3]`.

        Raises:
            InvalidOutput: the output holds NaN or infinity.
        """
        (points,) = self._run(crops, ["points"])
        return points

    def warm_up(self) -> None:
        size = self.metadata.crop_size
        (graph_input,) = self._session.get_inputs()
        if any(isinstance(side, int) and side != size for side in graph_input.shape[1:3]):
            raise ModelFileError(
                f"its input {graph_input.name} is {graph_input.shape}, its metadata says {size} pixels"
            )
        points = self.run(np.zeros((1, size, size, 3), np.uint8))
        if points.shape != (1, 5, 2):
            raise ModelFileError(f"its output {self.outputs[0].name} has shape {points.shape}, not (1, 5, 2)")
        anywhere = Face(0, 0, 1, 0, 1)
        if not landmarks_plausible(self.mean_landmarks(anywhere), anywhere):
            raise ModelFileError("the mean points in its metadata are not those of a face")


def crop_for_landmarks(picture: Image.Image, face: Face, *, size: int, enlargement: float) -> Crop:
    """Cut out `face` as the landmark predictor sees it: upright, with some of its surroundings.

    Args:
        picture: upright, of any mode.
        face: the face, in pixels of `picture`.
        size: side of the crop in pixels.
        enlargement: side of the crop as a multiple of the side of the face's square.
    """
    return crop_face(picture, face, size=size, face_size=size / enlargement)


def place_points(points: NDArray[np.floating], face: Face) -> Landmarks:
    """Points `[5, 2]` in the units of `LANDMARK_OUTPUTS`, as points of the picture in which `face` lies."""
    cos, sin = math.cos(face.angle), math.sin(face.angle)
    return points.astype(np.float64) @ (face.size * np.array([(cos, sin), (-sin, cos)])) + (face.x, face.y)
