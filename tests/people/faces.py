"""Samples of made-up faces."""

from hashlib import sha256

import numpy as np

from facerec.people.samples import Box, Embedding, Sample, Vector, normalize

EMBEDDING = Embedding("toy", 8)


def vector(number: int) -> Vector:
    """A random direction, the same for the same number."""
    return normalize(np.random.default_rng(number).normal(size=EMBEDDING.size).astype(np.float32))


BOX = Box(10, 20, 30)


def sample(number: int, *, box: Box = BOX) -> Sample:
    """The sample of the picture with this number."""
    return Sample(vector(number), 0.9, sha256(str(number).encode()).hexdigest(), box)
