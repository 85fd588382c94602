"""The face detector: a picture in, the places of its faces out."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face, Turn, crop_face
from facerec.inference.model_file import DETECTOR_INPUTS, DETECTOR_OUTPUTS, DETECTOR_STRIDE, DetectorMetadata
from facerec.inference.session import OnnxModel
from facerec.pictures.colour_modes import to_resizable, to_rgb

_TURNING_BACK: dict[Turn, Image.Transpose] = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
"""What sets a turned picture upright. Pillow turns counterclockwise."""
_TURN_MIN_LEAD = 0.1
"""By how much the score of a turned picture's face must exceed that of every upright face. Of 3,000 pictures of LFW's
background people, the upside-down face of two scored up to 0.01 more than the true one; of 400 that were turned, the
true face scored at least 0.13 more."""
_FACES_PER_TURN = 3
"""Faces by which one of the other turns is judged. Each may be looked at again, which takes a tenth of a first pass."""


class FaceDetector(OnnxModel[DetectorMetadata]):
    """A loaded face detector. Safe to call from several threads at once."""

    metadata_type = DetectorMetadata
    inputs = DETECTOR_INPUTS
    outputs = DETECTOR_OUTPUTS
    fixed_input_size = False

    def detect(self, picture: Image.Image) -> list[Face]:
        """The faces of an upright picture of any mode and size, in its pixels, the most prominent first.

        Raises:
            InvalidOutput: the output holds NaN or infinity.
        """
        faces = [face for face in self.candidates(picture) if face.score >= self.metadata.threshold]
        return sorted(faces, key=lambda face: -prominence(face, picture.size))

    def detect_turned(self, picture: Image.Image) -> tuple[Turn, list[Face]]:
        """The faces of a picture that may lie on its side or stand upside down.

        The other three turns are tried where the detector is not certain of any upright face. The turn with the highest
        score wins, if its lead over the upright faces is clear. The other turns are judged by their three best faces,
        as a crowd has a hundred to look at again.

        Returns:
            How the picture is turned, and the faces as `detect` gives them, in pixels of `picture`.

        Raises:
            InvalidOutput: the output holds NaN or infinity.
        """
        faces = self.detect(picture)
        best_turn: Turn = 0
        upright_score = max((face.score for face in faces), default=0.0)
        if upright_score >= self.metadata.second_pass.max_score:
            return best_turn, faces
        best_score = upright_score + _TURN_MIN_LEAD if faces else self.metadata.threshold
        for turn, turning_back in _TURNING_BACK.items():
            candidates = self.candidates(picture.transpose(turning_back), most=_FACES_PER_TURN)
            if candidates and candidates[0].score > best_score:
                best_turn, best_score = turn, candidates[0].score
        if best_turn:
            found = self.detect(picture.transpose(_TURNING_BACK[best_turn]))
            faces = [face.turned(best_turn, picture.size) for face in found]
        return best_turn, faces

    def candidates(self, picture: Image.Image, *, most: int | None = None) -> list[Face]:
        """All faces that `detect` chooses from, by falling score, those below the threshold included.

        The first pass looks at the whole picture. Doubtful faces are looked at again, larger, and get the mean score of
        both passes.

        Args:
            picture: upright, of any mode and size.
            most: how many faces of the first pass are kept, those with the highest scores. `None` keeps all.

        Raises:
            InvalidOutput: the output holds NaN or infinity.
        """
        scale = max(1.0, max(picture.size) / self.metadata.long_side)
        width, height = (max(1, round(side / scale)) for side in picture.size)
        small = to_resizable(picture).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2)
        image = np.asarray(to_rgb(small))
        rows = self.run(np.pad(image, [(0, -side % DETECTOR_STRIDE) for side in image.shape[:2]] + [(0, 0)]))
        found = [Face(*row).scaled(scale) for row in rows[:most].tolist()]
        min_score = self.metadata.second_pass.min_score
        checked = [self._second_pass(face, picture, scale) for face in found if face.score >= min_score]
        return sorted(checked, key=lambda face: -face.score)

    def _second_pass(self, face: Face, picture: Image.Image, scale: float) -> Face:
        """`face` with the mean score of both passes, or as it is where the first pass is certain.

        Args:
            face: in pixels of `picture`.
            picture: the whole upright picture.
            scale: how many times larger `picture` is than the first pass saw it.
        """
        settings = self.metadata.second_pass
        if face.score >= settings.max_score:
            return face
        crop = Image.fromarray(crop_face(picture, face))
        image = np.asarray(crop.resize((settings.side, settings.side), Image.Resampling.BILINEAR))
        expected = Face(settings.side / 2, settings.side / 2, settings.side * FACE_SIZE / CROP_SIZE, 0, 1)
        found = [Face(*row) for row in self.run(image).tolist()]
        score = max((other.score for other in found if other.iou(expected) >= settings.min_iou), default=0.0)
        size_factor = min(1, face.size / scale / settings.full_score_size)
        return face._replace(score=(face.score + size_factor * score) / 2)

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The graph's output `[K, 5]` for `image`, uint8 `[H, W, 3]` with sides that are multiples of 32.

        Raises:
            InvalidOutput: the output holds NaN or infinity.
        """
        (rows,) = self._run(image, ["faces"])
        return rows

    def warm_up(self) -> None:
        self.detect(Image.new("RGB", (self.metadata.long_side, self.metadata.long_side)))


def prominence(face: Face, size: tuple[int, int]) -> float:
    """How prominent a face is in a picture: its size in pixels, reduced by its distance from the picture's centre.

    Args:
        face: in pixels of the picture.
        size: width and height of the picture.
    """
    width, height = size
    distance = math.hypot(face.x - width / 2, face.y - height / 2)
    return face.size / (1 + distance / (math.hypot(width, height) / 2))
