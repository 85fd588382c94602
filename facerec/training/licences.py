"""What the model cards say about the licence of the weights."""

from pathlib import Path

from facerec.training.options import Weights


def describe_start(weights: Weights, *, licence: str) -> str:
    """What training started from and the licence that the trained network therefore carries, as the end of a sentence.

    Args:
        weights: the start of the backbone.
        licence: of the weights, where they are a file.
    """
    if isinstance(weights, Path):
        return f"started from {weights.name} and carries its licence: {licence}"
    if weights == "none":
        return "started from random weights and carries no licence but this project's"
    return "started from torchvision's MobileNet_V3_Large_Weights.IMAGENET1K_V1 (BSD-3-Clause)"
