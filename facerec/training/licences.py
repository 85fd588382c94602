"""What the model cards say of the licences of weights and data."""

from pathlib import Path
from typing import Literal


def describe_start(weights: Literal["imagenet", "none"] | Path, *, licence: str) -> str:
    """What the backbone started from and the licence that the trained network therefore carries, for the model card."""
    if weights == "none":
        return "started from random weights and carries no licence but this project's"
    if weights == "imagenet":
        return "started from torchvision's MobileNet_V3_Large_Weights.IMAGENET1K_V1 (BSD-3-Clause)"
    return f"started from {weights.name} and carries its licence: {licence}"
