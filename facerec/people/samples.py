"""What the gallery keeps of a person: a name and samples, no pictures."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Self
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from facerec.inference.cropping import Face

Vector = NDArray[np.float32]
"""An L2-normalized embedding or template, float32 `[D]`."""


class Embedding(NamedTuple):
    """The embedding of a model. Vectors can be compared if both values are the same."""

    id: str
    """`RecognizerMetadata.embedding_id`."""
    size: int
    """D, the number of values in a vector."""


class Box(NamedTuple):
    """Where a face is in a picture: the square of a `Face`, in whole pixels of the upright picture."""

    x: int
    """Centre of the square."""
    y: int
    size: int
    """Side of the square."""

    @classmethod
    def of(cls, face: Face) -> Self:
        """The box of a detected face."""
        return cls(round(face.x), round(face.y), round(face.size))

    def face(self) -> Face:
        """The upright face whose square this is."""
        return Face(*self, angle=0, score=1)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, eq=False)
class Sample:
    """One face of one picture, as the gallery keeps it. Its id can't be guessed. A copy needs an id of its own."""

    embedding: Vector
    quality: float
    """0 to 1, see `quality.Quality.value`."""
    picture_sha256: str
    """SHA-256 of the picture's file, in hexadecimal."""
    box: Box
    created: datetime = field(default_factory=_now)
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, eq=False)
class Person:
    """An enrolled person with all samples, the oldest first. The id can't be guessed."""

    id: UUID
    name: str
    created: datetime
    samples: tuple[Sample, ...]


def template(embeddings: NDArray[np.float32]) -> Vector:
    """What faces are compared with: the mean of a person's embeddings `[n, D]`, n > 0, L2-normalized."""
    return normalize(embeddings.sum(axis=0))


def normalize(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors `[..., D]` with a length of 1. Those of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
