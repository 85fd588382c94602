"""The temperature that makes probabilities honest, and the threshold that rejects unknown people."""

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional


def fit_temperature(similarities: Tensor, labels: Tensor, *, min_temperature: float) -> float:
    """The temperature t for which `softmax(similarities / t)` is most likely (Guo et al., 2017, arXiv:1706.04599).

    Args:
        similarities: cosines `[N, P]` of the validation images.
        labels: int64 `[N]`, the correct columns.
        min_temperature: lower bound. Where all of a few images are named correctly, the most likely temperature would
            be 0. The temperature of the training softmax is a good bound.
    """

    def negative_log_likelihood(log_temperature: float) -> float:
        return functional.cross_entropy(similarities.double() / np.exp(log_temperature), labels).item()

    bounds = (np.log(min_temperature), np.log(10))
    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded").x))


def choose_threshold(unknown: Tensor, *, false_accept_rate: float) -> float:
    """The lowest similarity that accepts at most a given fraction of the unknown people's images.

    Args:
        unknown: cosines `[N, P]` of unknown people's images. The highest of each row counts.
        false_accept_rate: fraction of the images that may be accepted, 0 to 1.
    """
    highest = unknown.max(dim=1).values.sort(descending=True).values
    allowed = min(int(false_accept_rate * len(highest)), len(highest) - 1)
    return torch.nextafter(highest[allowed], torch.tensor(torch.inf)).item()
