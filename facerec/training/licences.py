"""What the model cards say about the licence of the weights."""

from pathlib import Path

from facerec.training.options import Weights
from facerec.training.safe_text import printable

DLIB_RESNET_LICENCE = (
    "is dlib's face recognition network, which Davis King trained on about 3 million pictures of 7,485 people, with "
    "LFW's people left out, and dedicated to the public domain (CC0 1.0)"
)
"""The licence of dlib's network, as the end of a sentence (https://github.com/davisking/dlib-models)."""

RANDOM_START = "started from random weights and carries no licence but this project's"
"""What a network started from that takes no weights of others, and its licence, as the end of a sentence."""

TEACHER_LICENCE = "It learned from dlib's network, which is in the public domain (CC0 1.0)"
"""The licence of the teacher, as a sentence."""


def describe_start(weights: Weights, *, licence: str, taught: bool = False) -> str:
    """What training started from and the licence that the trained network therefore carries, as the end of a sentence.

    Args:
        weights: the start of the backbone.
        licence: of the weights, where they are a file.
        taught: whether the network learned from dlib's.
    """
    start = "started from torchvision's MobileNet_V3_Large_Weights.IMAGENET1K_V1 (BSD-3-Clause)"
    if isinstance(weights, Path):
        start = f"started from {printable(weights.name)} and carries its licence: {printable(licence)}"
    if weights == "none":
        start = RANDOM_START
    return f"{start}. {TEACHER_LICENCE}" if taught else start
