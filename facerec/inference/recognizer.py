"""The ONNX model, verified and ready: crops in, probabilities, similarities and embeddings out."""

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facerec.inference.cropping import CROP_SIZE
from facerec.inference.model_file import INPUT, OUTPUTS, ModelFileError, ModelMetadata
from facerec.inference.session import open_session
from facerec.serving.errors import InvalidOutput


class Recognition(NamedTuple):
    """What the model says of N crops; float32, columns in the order of `ModelMetadata.people`."""

    probabilities: NDArray[np.float32]
    """`[N, P]`, rows sum to 1."""
    similarities: NDArray[np.float32]
    """`[N, P]`, cosines, -1 to 1."""
    embeddings: NDArray[np.float32]
    """`[N, D]`, of length 1."""


class Recognizer:
    """A loaded model. Safe to call from several threads at once."""

    def __init__(self, session: ort.InferenceSession, metadata: ModelMetadata, checksum: str) -> None:
        self._session = session
        self.metadata = metadata
        self.checksum = checksum
        """SHA-256 of the model file in hexadecimal."""

    @classmethod
    def load(cls, path: Path, *, threads: int) -> Self:
        """Verify the model file at `path`, load it, and run it once so that the first request finds it warm.

        `threads` is the number of threads that one recognition may use.

        Raises:
            ModelFileError: the file is missing, altered, or not a model that this version understands.
        """
        session, checksum = open_session(path, threads=threads, one_size=True, inputs=[INPUT], outputs=OUTPUTS)
        try:
            metadata = ModelMetadata.from_properties(session.get_modelmeta().custom_metadata_map)
            recognizer = cls(session, metadata, checksum)
            _check_widths(recognizer.recognize(np.zeros((1, CROP_SIZE, CROP_SIZE, 3), np.uint8)), metadata)
        except InvalidOutput:
            raise ModelFileError(f"{path} can't be used: it gives NaN for a black picture") from None
        except ModelFileError as error:
            raise ModelFileError(f"{path} can't be used: {error}") from None
        return recognizer

    def recognize(self, crops: NDArray[np.uint8]) -> Recognition:
        """Recognize the person in each of `crops`, uint8 `[N, 250, 250, 3]`, from `facerec.inference.cropping`, N > 0.

        Raises:
            InvalidOutput: an output is NaN or infinite.
        """
        # One after the other: on a CPU a batch is no faster, and the session would keep the memory of the largest.
        names = [output.name for output in OUTPUTS]
        runs = [self._session.run(names, {INPUT.name: crop[None]}) for crop in crops]
        outputs = [np.concatenate(rows) for rows in zip(*runs, strict=True)]
        if not all(np.isfinite(output).all() for output in outputs):
            raise InvalidOutput
        return Recognition(*outputs)


def _check_widths(recognition: Recognition, metadata: ModelMetadata) -> None:
    """Raise ModelFileError unless the outputs have a column for each person and for each embedding component."""
    people, size = len(metadata.people), metadata.embedding_size
    for name, output, width in zip(Recognition._fields, recognition, (people, people, size), strict=True):
        if output.shape != (1, width):
            raise ModelFileError(f"its output {name} has shape {output.shape}, its metadata says (1, {width})")
