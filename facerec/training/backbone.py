"""The pretrained backbone MobileNetV3-Large, and the scale of its input (Howard et al., 2019, arXiv:1905.02244)."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights

from facerec.inference.model_file import file_sha256
from facerec.training.checkpoint import load_tensors
from facerec.training.errors import DataError
from facerec.training.options import Weights
from facerec.training.safe_text import printable

CHANNEL_MEAN = (123.675, 116.28, 103.53)
"""Mean of ImageNet's red, green and blue pixels on a scale of 0 to 255, subtracted from the input as in pretraining."""

CHANNEL_STD = (58.395, 57.12, 57.375)
"""Standard deviation of ImageNet's red, green and blue pixels on a scale of 0 to 255. The input is divided by it."""

WEIGHTS_ADVICE = "--weights takes imagenet, none or the path of a mobilenet_v3_large state dict."
"""The end of messages about weights that can't be used."""

BLOCKS = 17
"""Number of blocks in torchvision's `features`: the stem, 15 inverted residuals and the last convolution."""


def normalize(pixels: Tensor) -> Tensor:
    """RGB pixels float32 `[N, 3, H, W]`, 0 to 255, to the backbone's input.

    On ImageNet, each channel of the result has mean 0 and standard deviation 1.
    """
    mean, std = _channel_statistics(pixels.device)
    return (pixels - mean) / std


def denormalize(images: Tensor) -> Tensor:
    """The inverse of `normalize`: the backbone's input to RGB pixels float32 `[N, 3, H, W]`, clipped to 0 to 255."""
    mean, std = _channel_statistics(images.device)
    return (images * std + mean).clamp(0, 255)


def _channel_statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """`CHANNEL_MEAN` and `CHANNEL_STD` as tensors float32 `[1, 3, 1, 1]`."""
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (CHANNEL_MEAN, CHANNEL_STD))
    return mean, std


def identify_weights(weights: Weights) -> str:
    """A text that differs for different starts of the backbone: `imagenet`, `none`, or a file's name and SHA-256.

    Raises:
        DataError: the file can't be read.
    """
    if not isinstance(weights, Path):
        return weights
    try:
        return f"{printable(weights.name)}, SHA-256 {file_sha256(weights)}"
    except OSError as error:
        raise DataError(
            f"can't load the backbone's weights from {weights}: {error.strerror}. {WEIGHTS_ADVICE}"
        ) from error


def load_backbone(network: nn.Module, weights: Weights) -> None:
    """Load pretrained weights into the backbone of `network`, in place.

    Args:
        network: a network whose `features` are those of torchvision's `mobilenet_v3_large`.
        weights: `imagenet` downloads torchvision's IMAGENET1K_V1. A path names a state dict of `mobilenet_v3_large`,
            of which only the tensors of `features` are needed. `none` leaves the random weights.

    Raises:
        DataError: the weights can't be downloaded or read, or don't fit the network.
    """
    if weights == "none":
        return
    try:
        if weights == "imagenet":
            state = MobileNet_V3_Large_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        else:
            state = load_tensors(weights)
            if not isinstance(state, dict):
                raise ValueError("it holds no state dict")
        current = network.state_dict()
        names = [name for name in current if name.startswith("features.")]
        if missing := [name for name in names if name not in state]:
            raise ValueError(f"it has no tensor named {missing[0]}")
        network.load_state_dict(current | {name: state[name] for name in names})
    except Exception as error:  # a download and a state dict of another network raise errors of many kinds
        raise DataError(
            f"can't load the backbone's weights from {weights}: {' '.join(str(error).split())}. {WEIGHTS_ADVICE}"
        ) from error
