"""What the model cards say about the licence of the weights."""

from pathlib import Path

from facerec.training.options import Weights
from facerec.training.safe_text import printable

DLIB_RESNET_LICENCE = (
    "is dlib's face recognition network, which Davis King trained on about 3 million pictures of 7,485 people, with "
    "LFW's people left out, and dedicated to the public domain (CC0 1.0)"
)
"""The licence of dlib's network, as the end of a sentence (https://github.com/davisking/dlib-models)."""


def describe_start(weights: Weights, *, licence: str) -> str:
    """What training started from and the licence that the trained network therefore carries, as the end of a sentence.

    Args:
        weights: the start of the backbone.
        licence: of the weights, where they are a file.
    """
    if isinstance(weights, Path):
        return f"started from {printable(weights.name)} and carries its licence: {printable(licence)}"
    if weights == "none":
        return "started from random weights and carries no licence but this project's"
    return "started from torchvision's MobileNet_V3_Large_Weights.IMAGENET1K_V1 (BSD-3-Clause)"
