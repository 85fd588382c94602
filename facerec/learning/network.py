"""The network: MobileNetV3-Large with an embedding head (Howard et al., 2019, arXiv:1905.02244)."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import MobileNet_V3_Large_Weights, mobilenet_v3_large

from facerec.framing import FRAME_SIZE
from facerec.learning.errors import DataError
from facerec.learning.margin import CosineClassifier

CROP_SIZE = 128
"""Side in pixels of the frame's centre that training shows, changed at random: the face, which in LFW measures about
110 of the 250 pixels, and little of hair and background, by which pictures can be told apart instead of people."""

INPUT_SIZE = 224
"""Side in pixels that the crop is resized to: larger than it is, so that the last blocks see 7 x 7 places of it."""

SHOWN = {"crop": CROP_SIZE, "input_size": INPUT_SIZE}
"""What a network is shown of a frame: one that was trained with other numbers is another network."""

# ImageNet's channel statistics, for which the pretrained features were made, on a scale of 0 to 255.
CHANNEL_MEAN = (123.675, 116.28, 103.53)
CHANNEL_STD = (58.395, 57.12, 57.375)

BLOCKS = 17
"""Length of torchvision's `features`: the stem, 15 inverted residuals and the last convolution."""


def normalise(pixels: Tensor) -> Tensor:
    """Float pixels `[N, 3, H, W]` of 0 to 255 on the scale that the pretrained features expect."""
    mean, std = _channel_statistics(pixels.device)
    return (pixels - mean) / std


def denormalise(images: Tensor) -> Tensor:
    """The pixels `[N, 3, H, W]` of 0 to 255 that `normalise` made `images` of."""
    mean, std = _channel_statistics(images.device)
    return (images * std + mean).clamp(0, 255)


def _channel_statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """ImageNet's channel means and deviations, each `[1, 3, 1, 1]`."""
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (CHANNEL_MEAN, CHANNEL_STD))
    return mean, std


def preprocess(frames: Tensor) -> Tensor:
    """Frames uint8 `[N, 250, 250, 3]` as the network's input: float32 `[N, 3, 224, 224]`, the centre, normalised."""
    start, stop = (FRAME_SIZE - CROP_SIZE) // 2, (FRAME_SIZE + CROP_SIZE) // 2
    centre = frames[:, start:stop, start:stop].permute(0, 3, 1, 2).float()
    size = (INPUT_SIZE, INPUT_SIZE)
    return normalise(functional.interpolate(centre, size=size, mode="bilinear", align_corners=False))


class FaceNetwork(nn.Module):
    """Images become embeddings on the unit sphere, and cosine similarities to the classes.

    Args:
        embedding_size: length D of the embeddings.
        classes: number C of classes.
    """

    def __init__(self, *, embedding_size: int, classes: int) -> None:
        super().__init__()
        self.features = mobilenet_v3_large().features
        self.head = nn.Sequential(
            nn.Linear(960, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size),
        )
        self.classifier = CosineClassifier(embedding_size=embedding_size, classes=classes)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images `[N, 3, H, W]` to cosine similarities `[N, C]`."""
        similarities: Tensor = self.classifier(self.embed(images))
        return similarities

    def embed(self, images: Tensor) -> Tensor:
        """Normalised images `[N, 3, H, W]` to L2-normalised embeddings `[N, D]`."""
        return functional.normalize(self.head(self.features(images).mean(dim=(2, 3))))

    def embed_frames(self, frames: Tensor) -> Tensor:
        """Embeddings `[N, D]` of frames uint8 `[N, 250, 250, 3]`."""
        return self.embed(preprocess(frames))

    def freeze(self, *, unfrozen_blocks: int) -> None:
        """Leave only the last `unfrozen_blocks` of the backbone's 17 blocks, and the head, to be trained."""
        for block in self.features[: BLOCKS - unfrozen_blocks]:
            block.requires_grad_(False)

    def train(self, mode: bool = True) -> "FaceNetwork":
        """Set the mode of everything but frozen blocks, whose BatchNorm statistics stay as they were pretrained."""
        super().train(mode)
        for block in self.features:
            if not any(parameter.requires_grad for parameter in block.parameters()):
                block.eval()
        return self


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


def describe_start(weights: Literal["imagenet", "none"] | Path, *, licence: str) -> str:
    """What the backbone started from and the licence that the trained network therefore carries, for the model card."""
    if weights == "none":
        return "started from random weights and carries no licence but this project's"
    if weights == "imagenet":
        return "started from torchvision's MobileNet_V3_Large_Weights.IMAGENET1K_V1 (BSD-3-Clause)"
    return f"started from {weights.name} and carries its licence: {licence}"
