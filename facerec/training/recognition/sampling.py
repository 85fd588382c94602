"""Which images an epoch shows, and how often."""

import math

import numpy as np
from numpy.typing import NDArray

from facerec.training.options import Options
from facerec.training.split import Indices, Split


def epoch_batches(split: Split, options: Options, *, epoch: int) -> NDArray[np.int64]:
    """The images of an epoch's steps, int64 `[steps, batch]`: half of known people, half of others."""
    random = np.random.default_rng([options.seed, epoch])
    counts = split.counts(split.train)[split.labels[split.train]]
    weights = counts.astype(np.float64) ** -options.balance
    known_per_step = options.batch_size // 2 if len(split.background) else options.batch_size
    steps = math.ceil(max(len(split.train), options.min_epoch_images) / known_per_step)
    known = _draw(split.train, weights, steps * known_per_step, random)
    background = _draw(
        split.background, np.ones(len(split.background)), steps * (options.batch_size - known_per_step), random
    )
    return np.concatenate([known.reshape(steps, -1), background.reshape(steps, -1)], axis=1)


def _draw(indices: Indices, weights: NDArray[np.float64], count: int, random: np.random.Generator) -> Indices:
    """`count` images in random order, each as often as its weight says to within one (systematic sampling)."""
    if not count:
        return indices[:0]
    order = random.permutation(len(indices))
    upto = np.cumsum(weights[order]) * count / weights.sum()
    drawn = np.searchsorted(upto, random.random() + np.arange(count)).clip(max=len(indices) - 1)
    return random.permutation(indices[order[drawn]])
