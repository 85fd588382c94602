"""The messages between worker processes and their pool."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec.errors import CodedError
from facerec.inference.cropping import CropMode
from facerec.inference.errors import InferenceError
from facerec.inference.model_file import DetectorMetadata, LandmarkMetadata, RecognizerMetadata
from facerec.inference.results import PictureResult, Trace


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


class Answer(NamedTuple):
    """What a worker found in a picture: either `result` or `error` is set."""

    trace: Trace
    result: PictureResult | None = None
    error: CodedError | InferenceError | None = None
