"""Calibration: the temperature of the probabilities, and the threshold that rejects unknown people."""

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

MAX_TEMPERATURE = 10
"""Upper bound of the temperature. Cosines divided by it give nearly equal probabilities."""


def fit_temperature(similarities: Tensor, labels: Tensor, *, min_temperature: float) -> float:
    """The temperature t with which `softmax(similarities / t)` makes the labels most likely (arXiv:1706.04599).

    Args:
        similarities: cosines `[N, P]` of the validation images.
        labels: int64 `[N]`, the correct columns.
        min_temperature: lower bound. If every image is named correctly, the best temperature would be 0. The
            temperature before calibration is a good bound.
    """

    def negative_log_likelihood(log_temperature: float) -> float:
        return functional.cross_entropy(similarities.double() / np.exp(log_temperature), labels).item()

    bounds = (np.log(min_temperature), np.log(MAX_TEMPERATURE))
    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded").x))


def choose_threshold(unknown_similarities: Tensor, *, false_accept_rate: float) -> float:
    """The lowest similarity that accepts at most a given fraction of the unknown people's images, at most 1.

    Args:
        unknown_similarities: cosines `[N, P]` of unknown people's images. An image is accepted if the highest of its
            row is not below the threshold.
        false_accept_rate: fraction of the images that may be accepted, 0 to 1.
    """
    highest = unknown_similarities.max(dim=1).values.sort(descending=True).values
    allowed = min(int(false_accept_rate * len(highest)), len(highest) - 1)
    above = torch.nextafter(highest[allowed], torch.tensor(torch.inf)).item()
    return min(above, 1.0)  # a network that learned little gives all faces the same embedding
