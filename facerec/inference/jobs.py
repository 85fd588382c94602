"""The messages between worker processes and their pool."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, PlainValidator, TypeAdapter

from facerec.inference.arrays import array_to_json
from facerec.inference.cropping import CropMode
from facerec.inference.errors import InferenceError
from facerec.inference.model_file import DetectorMetadata, LandmarkMetadata, RecognizerMetadata
from facerec.inference.results import PictureResult, Trace
from facerec.pictures.errors import PictureError


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """What a worker process loads, and what it may take.

    Attributes:
        recognizer: the recognizer's file.
        detector: the face detector's file.
        landmarks: the landmark predictor's file.
        threads: threads that compute one picture.
        max_bytes: bytes of a picture file.
        max_pixels: pixels of a picture that are decoded.
        max_faces: faces of a picture that are recognized, the most prominent ones.
        memory_bytes: memory of the process, on a GPU besides that of the loaded models. It is enforced on Linux alone
            (RLIMIT_DATA, setrlimit(2)).
        cpu_seconds: CPU time of one picture, over all threads.
    """

    recognizer: Path
    detector: Path
    landmarks: Path
    threads: int
    max_bytes: int
    max_pixels: int
    max_faces: int
    memory_bytes: int
    cpu_seconds: float


class LoadedModels(NamedTuple):
    """The models that a worker has loaded, with the SHA-256 of their files in hexadecimal."""

    recognizer: RecognizerMetadata
    recognizer_checksum: str
    directions: NDArray[np.float32]
    """See `FaceRecognizer.directions`."""
    detector: DetectorMetadata
    detector_checksum: str
    landmarks: LandmarkMetadata
    landmarks_checksum: str


class Job(NamedTuple):
    """A picture to recognize."""

    source: bytes | str
    """The picture file, or a `data:` URL that holds it."""
    crop_mode: CropMode
    preview: bool
    """Whether the result holds the picture as it was read."""


def _error_from_json(value: Any) -> PictureError | InferenceError:
    match value:
        case [str(name), str(message)]:
            kinds: list[type[PictureError] | type[InferenceError]]
            kinds = [*PictureError.leaves(), *InferenceError.__subclasses__()]
            for kind in kinds:
                if kind.__name__ == name:
                    return kind(message)
    raise ValueError("no error of a picture or of a model")


def _to_json(value: Any) -> Any:
    """What stands in JSON for a part of an answer that JSON doesn't know."""
    match value:
        case np.ndarray():
            return array_to_json(value)
        case np.generic():
            return value.item()
        case Trace():
            return vars(value)
    assert isinstance(value, PictureError | InferenceError)
    return [type(value).__name__, str(value)]


PictureFailure = Annotated[PictureError | InferenceError, PlainValidator(_error_from_json)]
"""Why there is no result. In JSON the name of the error's class, and its message."""


class Answer(NamedTuple):
    """What a worker found in a picture: either `result` or `error` is set.

    Its message is JSON. A decoder that a picture has taken over may send anything, and reading JSON makes only numbers,
    texts and arrays, where unpickling could run code.
    """

    trace: Trace
    result: PictureResult | None = None
    error: PictureFailure | None = None

    def to_json(self) -> bytes:
        """The message."""
        return json.dumps(self, default=_to_json).encode()

    @classmethod
    def from_json(cls, message: bytes) -> "Answer":
        """The answer of a message.

        Raises:
            ValidationError: the message is no answer.
        """
        return _ANSWER.validate_json(message)


def _check_answer(answer: Answer) -> Answer:
    """Make sure that there is either a result or an error."""
    if (answer.result is None) == (answer.error is None):
        raise ValueError("neither a result nor an error, or both")
    return answer


_ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, AfterValidator(_check_answer)])
