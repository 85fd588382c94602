"""The optimiser, its learning rate over time, and the average of the weights that it passes through."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import AdamW

from facerec.learning.options import Options

WARMUP_SHARE = 0.1
"""Share of all steps over which the learning rate rises."""


def adamw(network: nn.Module, options: Options) -> AdamW:
    """AdamW on what is not frozen, with weight decay on matrices and convolutions, not on biases and BatchNorm."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=options.learning_rate)


def warmup_and_cosine(steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at each step: a linear rise, then half a cosine to zero (arXiv:1608.03983)."""
    warmup = max(1, round(WARMUP_SHARE * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return factor


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, decay: float, steps: int) -> None:
    """Move the exponential moving average of the weights towards `network`; its window grows with the steps taken."""
    weight = 1 - min(decay, (1 + steps) / (10 + steps))
    for mean, current in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(current, weight)
        else:
            mean.copy_(current)
