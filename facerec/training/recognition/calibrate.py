"""From similarities to probabilities that mean what they say, and to a threshold for unknown."""

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional


def fit_temperature(similarities: Tensor, labels: Tensor, *, lowest: float) -> float:
    """The temperature t for which `softmax(similarities / t)` is the most likely (Guo et al., 2017, arXiv:1706.04599).

    Where all of a few images are named rightly, that would be zero.

    Args:
        similarities: cosines `[N, P]` of the validation images.
        labels: int64 `[N]`.
        lowest: the training softmax's temperature: nothing is surer than what training made sure of.
    """

    def negative_log_likelihood(log_temperature: float) -> float:
        return functional.cross_entropy(similarities.double() / np.exp(log_temperature), labels).item()

    return float(
        np.exp(minimize_scalar(negative_log_likelihood, bounds=(np.log(lowest), np.log(10)), method="bounded").x)
    )


def choose_threshold(unknown: Tensor, *, false_accept_rate: float) -> float:
    """The lowest similarity at which at most `false_accept_rate` of the strangers would pass for a known person.

    Args:
        unknown: cosines `[N, P]` of strangers' images; the highest of each row counts.
        false_accept_rate: share of 1.
    """
    highest = unknown.max(dim=1).values.sort(descending=True).values
    allowed = min(int(false_accept_rate * len(highest)), len(highest) - 1)
    return torch.nextafter(highest[allowed], torch.tensor(torch.inf)).item()
