"""MobileNetV3-Large's pretrained features, and the pixels that they expect (Howard et al., 2019, arXiv:1905.02244)."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights

from facerec.training.errors import DataError

# ImageNet's channel statistics, for which the pretrained features were made, on a scale of 0 to 255.
CHANNEL_MEAN = (123.675, 116.28, 103.53)
CHANNEL_STD = (58.395, 57.12, 57.375)

BLOCKS = 17
"""Length of torchvision's `features`: the stem, 15 inverted residuals and the last convolution."""


def normalize(pixels: Tensor) -> Tensor:
    """Float pixels `[N, 3, H, W]` of 0 to 255 on the scale that the pretrained features expect."""
    mean, std = _channel_statistics(pixels.device)
    return (pixels - mean) / std


def denormalize(images: Tensor) -> Tensor:
    """The pixels `[N, 3, H, W]` of 0 to 255 that `normalize` made `images` of."""
    mean, std = _channel_statistics(images.device)
    return (images * std + mean).clamp(0, 255)


def _channel_statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """ImageNet's channel means and deviations, each `[1, 3, 1, 1]`."""
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (CHANNEL_MEAN, CHANNEL_STD))
    return mean, std


def load_backbone(network: nn.Module, weights: Literal["imagenet", "none"] | Path) -> None:
    """Load the backbone's start into `network`.

    Args:
        network: changed in place; its `features` are mobilenet_v3_large's, or the first blocks of them.
        weights: `imagenet` downloads torchvision's IMAGENET1K_V1; a path is a state dict of `mobilenet_v3_large`, whole
            or `features` alone; `none` leaves the random start.

    Raises:
        DataError: the weights can't be had or don't fit.
    """
    if weights == "none":
        return
    try:
        if weights == "imagenet":
            state = MobileNet_V3_Large_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        else:
            state = torch.load(weights, map_location="cpu", weights_only=True)
        own = network.state_dict()
        features = [name for name in own if name.startswith("features.")]
        if missing := [name for name in features if name not in state]:
            raise ValueError(f"it has no tensor named {missing[0]}")
        network.load_state_dict(own | {name: state[name] for name in features})
    except Exception as error:  # torch.load raises errors of many kinds for files that aren't state dicts
        raise DataError(
            f"can't load the backbone's weights from {weights}: {error}. "
            "--weights takes imagenet, none or the path of a mobilenet_v3_large state dict."
        ) from error
