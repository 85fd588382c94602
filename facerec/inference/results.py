"""What recognition gives for a picture."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from facerec.inference.arrays import Matrix, Points
from facerec.inference.cropping import Face, Turn


class PictureResult(NamedTuple):
    """The people in a picture."""

    embeddings: Matrix | None
    """float32 `[N, D]`, L2-normalized: a row for each face, or one for the picture's centre. `None` where no face was
    found."""
    faces: list[Face]
    """In pixels of the whole picture, the most prominent first. Empty in the crop mode `centre`."""
    landmarks: list[Points | None]
    """The `Landmarks` of the face of each row of `embeddings`, in pixels of the whole picture. `None` where those that
    were found can't be a face's."""
    sharpness: list[float]
    """The sharpness of the face of each row of `embeddings`, see `facerec.inference.sharpness`."""
    sha256: str
    """SHA-256 of the picture's file, in hexadecimal."""
    width: int
    """Pixels of the whole picture, set upright by its EXIF orientation."""
    height: int
    turned: Turn = 0
    """How the picture is turned."""
    faces_found: int = 0
    """Number of faces that were detected. Only the most prominent ones are recognized."""
    preview: str | None = None
    """The upright picture as it was read, see `facerec.pictures.preview`. `None` unless it was asked for."""


Stage = Literal["fetch", "decode", "locate", "infer", "preview"]
"""A step from a picture's URL or bytes to its result, whose time is taken."""


@dataclass
class Trace:
    """Facts about a picture that the pipeline records on the way, so that they are known after an error too."""

    bytes: int | None = None
    width: int | None = None
    """Pixels as stored in the file, before the EXIF orientation is applied."""
    height: int | None = None
    milliseconds: dict[Stage, float] = field(default_factory=dict)
    """Duration of each stage."""

    def add(self, other: "Trace") -> None:
        """Take over the facts of another trace of the same picture."""
        self.bytes, self.width, self.height = other.bytes, other.width, other.height
        self.milliseconds |= other.milliseconds

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Time the block as the stage `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[name] = round(1000 * (time.perf_counter() - start), 2)
