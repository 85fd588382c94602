"""The detector's ONNX model, verified and ready: a picture in, its faces out."""

import math
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face, crop_face
from facerec.inference.model_file import (
    DETECTOR_INPUT,
    DETECTOR_OUTPUTS,
    DETECTOR_STRIDE,
    DetectorMetadata,
    ModelFileError,
)
from facerec.inference.session import open_session
from facerec.pictures.colour_modes import mixable, to_rgb
from facerec.serving.errors import InvalidOutput

SMALL = 28
"""Pixels of a face, as it is looked at first, under which scores fall with its size: specks deceive more often than
they are faces. The graph does so itself; a closer look must not forget it."""
SURE, LOW = 0.7, 0.25
"""Scores of a first look from which it needs no second one, and under which it deserves none."""
CLOSE_SIDE = 192
"""Pixels of the square in which a face is looked at again."""
SAME = 0.4
"""Intersection over union from which it is the same face."""


class FaceDetector:
    """A loaded detector. Safe to call from several threads at once."""

    def __init__(self, session: ort.InferenceSession, metadata: DetectorMetadata, checksum: str) -> None:
        self._session = session
        self.metadata = metadata
        self.checksum = checksum
        """SHA-256 of the file in hexadecimal."""

    @classmethod
    def load(cls, path: Path, *, threads: int) -> Self:
        """Verify the file at `path`, load it, and run it once so that the first request finds it warm.

        `threads` is the number of threads that one run may use.

        Raises:
            ModelFileError: the file is missing, altered, or not a detector that this version understands.
        """
        session, checksum = open_session(
            path, threads=threads, one_size=False, inputs=[DETECTOR_INPUT], outputs=DETECTOR_OUTPUTS
        )
        try:
            metadata = DetectorMetadata.from_properties(session.get_modelmeta().custom_metadata_map)
            detector = cls(session, metadata, checksum)
            detector.detect(Image.new("RGB", (metadata.long_side, metadata.long_side)))
        except InvalidOutput:
            raise ModelFileError(f"{path} can't be used: it gives NaN for a black picture") from None
        except ModelFileError as error:
            raise ModelFileError(f"{path} can't be used: {error}") from None
        return detector

    def detect(self, picture: Image.Image) -> list[Face]:
        """The faces of an upright picture of any mode and size, in its pixels, the most prominent first.

        Raises:
            InvalidOutput: an output is NaN or infinite.
        """
        faces = [face for face in self.candidates(picture) if face.score >= self.metadata.threshold]
        return sorted(faces, key=lambda face: -prominence(face, picture))

    def candidates(self, picture: Image.Image) -> list[Face]:
        """The same by falling score, with those that score under the threshold.

        Of what a look at the whole picture leaves in doubt, the score is the mean of that look's and of a closer one's.

        Raises:
            InvalidOutput: an output is NaN or infinite.
        """
        scale = max(1.0, max(picture.size) / self.metadata.long_side)
        width, height = (max(1, round(side / scale)) for side in picture.size)
        small = mixable(picture).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2)
        image = np.asarray(to_rgb(small))
        rows = self.run(np.pad(image, [(0, -side % DETECTOR_STRIDE) for side in image.shape[:2]] + [(0, 0)]))
        found = [Face(*row).scaled(scale) for row in rows.tolist()]
        judged = [self._look_again(face, picture, scale) for face in found if face.score >= LOW]
        return sorted(judged, key=lambda face: -face.score)

    def _look_again(self, face: Face, picture: Image.Image, scale: float) -> Face:
        """`face` with a score that, unless it is sure, also says whether it is one in a crop like LFW's."""
        if face.score >= SURE:
            return face
        crop = Image.fromarray(crop_face(picture, face)).resize((CLOSE_SIDE, CLOSE_SIDE), Image.Resampling.BILINEAR)
        middle = Face(CLOSE_SIDE / 2, CLOSE_SIDE / 2, CLOSE_SIDE * FACE_SIZE / CROP_SIZE, 0, 1)
        close = [Face(*row) for row in self.run(np.asarray(crop)).tolist()]
        again = max((there.score for there in close if there.overlap(middle) >= SAME), default=0.0)
        return face._replace(score=(face.score + min(1, face.size / scale / SMALL) * again) / 2)

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The graph's answer for `image`, uint8 `[H, W, 3]` with sides that are multiples of 32: `[K, 5]`.

        Raises:
            InvalidOutput: an output is NaN or infinite.
        """
        rows: NDArray[np.float32]
        (rows,) = self._session.run([DETECTOR_OUTPUTS[0].name], {DETECTOR_INPUT.name: image})
        if not np.isfinite(rows).all():
            raise InvalidOutput
        return rows


def prominence(face: Face, picture: Image.Image) -> float:
    """How much of the picture's subject a face is: its size in pixels, less the further it is from the middle."""
    distance = math.hypot(face.x - picture.width / 2, face.y - picture.height / 2)
    return face.size / (1 + distance / (math.hypot(*picture.size) / 2))
