"""The images of each training step."""

import math

import numpy as np
from numpy.typing import NDArray

from facerec.training.options import RecognizerOptions
from facerec.training.split import Indices, Split

MAX_EPOCH_DRAWS = 10
"""How often an epoch may draw each known person's image, on average. Few images would otherwise be learned by heart."""


def epoch_batches(split: Split, options: RecognizerOptions, *, epoch: int) -> NDArray[np.int64]:
    """The images of an epoch's steps, int64 `[steps, batch]`: half of known people, half of background people."""
    training = options.training
    random = np.random.default_rng([options.data.seed, epoch])
    counts = split.counts(split.train)[split.labels[split.train]]
    weights = counts.astype(np.float64) ** -training.balance
    known_per_step = training.batch_size // 2 if len(split.background) else training.batch_size
    background_per_step = training.batch_size - known_per_step
    drawn = min(max(len(split.train), training.min_epoch_images), MAX_EPOCH_DRAWS * len(split.train))
    steps = math.ceil(drawn / known_per_step)
    known = _draw(split.train, weights, steps * known_per_step, random)
    background = _draw(split.background, np.ones(len(split.background)), steps * background_per_step, random)
    return np.concatenate([known.reshape(steps, -1), background.reshape(steps, -1)], axis=1)


def _draw(indices: Indices, weights: NDArray[np.float64], count: int, random: np.random.Generator) -> Indices:
    """Draw `count` images in random order, each in proportion to its weight to within one (systematic sampling)."""
    if not count:
        return indices[:0]
    order = random.permutation(len(indices))
    cumulative = np.cumsum(weights[order]) * count / weights.sum()
    drawn = np.searchsorted(cumulative, random.random() + np.arange(count)).clip(max=len(indices) - 1)
    return random.permutation(indices[order[drawn]])
