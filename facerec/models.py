"""The models in this process, for the Python API and the command line: which recognizer, and all of them loaded."""

import os
from pathlib import Path
from typing import Literal, NamedTuple

from facerec.inference.detector import FaceDetector
from facerec.inference.jobs import WorkerOptions
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import (
    DETECTOR_FILE,
    LANDMARKS_FILE,
    shipped_models,
    shipped_recognizers,
)
from facerec.inference.pipeline import Pipeline
from facerec.inference.recognizer import FaceRecognizer
from facerec.people.model_choice import recognizer_of_gallery
from facerec.people.samples import Vector

MAX_BYTES, MAX_PIXELS = 200 * 2**20, 100_000_000
"""Bytes of a picture's file, and pixels that are decoded of it. A picture of that size takes up to 2 GB of memory."""

MAX_FACES = 100
"""Faces of a picture that are recognized, the most prominent ones."""

_PICTURE_SECONDS = 30
"""Seconds of CPU time that a picture may take in a worker process. 100 faces take the accurate model about ten."""
_WORKER_MEMORY = 3 * 2**30
"""Bytes of memory that a worker process may take, of which few pictures make it use more than 300 MB."""

MODEL_VARIABLE = "FACEREC_MODEL"
"""Environment variable that chooses the recognizer, as it does for the service."""


class ModelChoice(NamedTuple):
    """Which recognizer is used."""

    path: Path
    reason: str
    """Why, as the end of a sentence."""


def choose_recognizer(
    given: str | Path | None, location: str | Path, *, otherwise: Literal["default", "accurate"]
) -> ModelChoice:
    """The recognizer's file for a gallery.

    Args:
        given: what the caller asks for: a path, `default` or `accurate`.
        location: of the gallery.
        otherwise: the shipped one for a gallery without people, if neither `given` nor the environment variable
            FACEREC_MODEL chooses one.

    Raises:
        ValueError, StoreError, ModelFileError: see `recognizer_of_gallery`.
    """
    if given:
        return ModelChoice(_path(given), "as asked for")
    if variable := os.environ.get(MODEL_VARIABLE):
        return ModelChoice(_path(variable), f"as {MODEL_VARIABLE} says")
    if made_with := recognizer_of_gallery(location, shipped_recognizers().values()):
        return ModelChoice(made_with, "which the gallery was made with")
    return ModelChoice(shipped_recognizers()[otherwise], "the model for new galleries")


def _path(model: str | Path) -> Path:
    """The file of a recognizer, which one of the words for the shipped ones may stand for."""
    return shipped_recognizers().get(str(model), Path(model))


def load_pipeline(recognizer: Path) -> Pipeline:
    """The steps from a picture to its people, with the shipped detector and landmark predictor.

    Raises:
        ModelFileError: a file is missing or can't be used.
    """
    return Pipeline(
        FaceRecognizer.load(recognizer, threads=1),
        FaceDetector.load(shipped_models() / DETECTOR_FILE, threads=1),
        LandmarkPredictor.load(shipped_models() / LANDMARKS_FILE, threads=1),
        max_bytes=MAX_BYTES,
        max_pixels=MAX_PIXELS,
        max_faces=MAX_FACES,
    )


def worker_options(recognizer: Path) -> WorkerOptions:
    """Worker processes with the shipped detector and landmark predictor, and with the limits that this process has.

    Args:
        recognizer: the recognizer's file.
    """
    return WorkerOptions(
        recognizer=recognizer.absolute(),
        detector=(shipped_models() / DETECTOR_FILE).absolute(),
        landmarks=(shipped_models() / LANDMARKS_FILE).absolute(),
        threads=1,
        max_bytes=MAX_BYTES,
        max_pixels=MAX_PIXELS,
        max_faces=MAX_FACES,
        memory_bytes=_WORKER_MEMORY,
        cpu_seconds=_PICTURE_SECONDS,
    )


def directions(recognizer: FaceRecognizer) -> dict[str, Vector]:
    """The directions `[D]` of the people whom a recognizer knows, by name."""
    return {
        person.name: direction
        for person, direction in zip(recognizer.metadata.people, recognizer.directions, strict=True)
    }


def read_picture(path: Path) -> bytes:
    """The bytes of a picture's file, or as many as show that it is too large.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
