"""The optimizer, its learning rate over time, and the average of the weights that it passes through."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import AdamW

from facerec.training.options import Options

WARMUP_FRACTION = 0.1
"""Share of all steps over which the learning rate rises."""


def adamw(network: nn.Module, options: Options, *, backbone_rate: float) -> AdamW:
    """AdamW on what is not frozen, with weight decay on matrices and convolutions, not on biases and BatchNorm.

    The backbone, which is the network's `features`, learns at `backbone_rate` times the learning rate.
    """
    trained = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]

    def group(backbone: bool, matrices: bool) -> dict[str, object]:
        return {
            "params": [
                p for name, p in trained if name.startswith("features.") == backbone and (p.ndim > 1) == matrices
            ],
            "lr": options.learning_rate * (backbone_rate if backbone else 1),
            "weight_decay": options.weight_decay if matrices else 0,
        }

    return AdamW([group(backbone, matrices) for backbone in (True, False) for matrices in (True, False)])


def warmup_and_cosine(steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at each step: a linear rise, then half a cosine to zero (arXiv:1608.03983)."""
    warmup = max(1, round(WARMUP_FRACTION * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return factor


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, steps: int) -> None:
    """Move the average of the weights towards `network`, over about the last ninth of the steps taken.

    Polynomial-decay averaging (Shamir & Zhang, 2013, arXiv:1212.1824).
    """
    weight = 9 / (10 + steps)
    for mean, current in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(current, weight)
        else:
            mean.copy_(current)
