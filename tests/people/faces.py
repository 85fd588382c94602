"""Samples of made-up faces."""

import numpy as np

from facerec.people.samples import Box, Embedding, Sample, Vector, normalize, picture_sha256

EMBEDDING = Embedding("toy", 8)


def vector(number: int) -> Vector:
    """A random direction, the same for the same number."""
    return normalize(np.random.default_rng(number).normal(size=EMBEDDING.size).astype(np.float32))


BOX = Box(10, 20, 30)


def sample(number: int, *, box: Box = BOX) -> Sample:
    """The sample of the picture with this number."""
    return Sample(vector(number), 0.9, picture_sha256(str(number).encode()), box)
