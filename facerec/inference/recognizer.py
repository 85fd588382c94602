"""The recognizer: crops in, probabilities, similarities and embeddings out."""

from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facerec.inference.alignment import landmarks_plausible
from facerec.inference.cropping import Face
from facerec.inference.errors import ModelFileError
from facerec.inference.model_file import RECOGNIZER_INPUTS, RECOGNIZER_OUTPUTS, RecognizerMetadata
from facerec.inference.session import OnnxModel


class ModelOutput(NamedTuple):
    """The recognizer's output for N crops, float32. Columns are in the order of `RecognizerMetadata.people`."""

    probabilities: NDArray[np.float32]
    """`[N, P]`, calibrated; rows sum to 1."""
    similarities: NDArray[np.float32]
    """`[N, P]`, cosine, -1 to 1."""
    embeddings: NDArray[np.float32]
    """`[N, D]`, L2-normalized."""


class FaceRecognizer(OnnxModel[RecognizerMetadata]):
    """A loaded recognizer. Safe to call from several threads at once.

    Attributes:
        directions: float32 `[P, D]`, L2-normalized, of the people whom it knows, in the order of the metadata.
    """

    metadata_type = RecognizerMetadata
    inputs = RECOGNIZER_INPUTS
    outputs = RECOGNIZER_OUTPUTS
    fixed_input_size = True

    def __init__(self, session: ort.InferenceSession, metadata: RecognizerMetadata, checksum: str) -> None:
        super().__init__(session, metadata, checksum)
        self.directions: NDArray[np.float32] = np.empty((0, metadata.embedding_size), np.float32)

    def recognize(self, crops: NDArray[np.uint8]) -> ModelOutput:
        """Recognize the person of each crop, uint8 `[N, S, S, 3]`, N > 0. S is the metadata's `crop_size`.

        Raises:
            InvalidOutput: an output holds NaN or infinity.
        """
        if self.on_gpu:
            return ModelOutput(*self._run(crops, ModelOutput._fields))
        # One crop at a time: a batch is no faster on a CPU, and the session would keep the memory of the largest batch.
        runs = [self._run(crop[None], ModelOutput._fields) for crop in crops]
        return ModelOutput(*(np.concatenate(rows) for rows in zip(*runs, strict=True)))

    def warm_up(self) -> None:
        side = self.metadata.crop_size
        if (sides := self._session.get_inputs()[0].shape[1:3]) != [side, side]:
            raise ModelFileError(f"its input takes crops of {sides} pixels, its metadata says {side}")
        alignment, whole_crop = self.metadata.alignment, Face(side / 2, side / 2, side, angle=0, score=1)
        if alignment and not landmarks_plausible(np.array(alignment.points), whole_crop):
            raise ModelFileError("the points of its metadata's alignment are not those of an upright face")
        black = np.zeros((1, side, side, 3), np.uint8)
        output = self.recognize(black)
        (self.directions,) = self._run(black, ["directions"])
        people, size = len(self.metadata.people), self.metadata.embedding_size
        shapes = dict.fromkeys(("probabilities", "similarities"), (1, people)) | {"embeddings": (1, size)}
        for name, values in (*output._asdict().items(), ("directions", self.directions)):
            expected = shapes.get(name, (people, size))
            if values.shape != expected:
                raise ModelFileError(f"its output {name} has shape {values.shape}, its metadata says {expected}")
