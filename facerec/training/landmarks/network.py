"""The network that finds the five points of a face.

A few depth-wise separable blocks (MobileNet, arXiv:1704.04861) with shortcuts (ResNet, arXiv:1512.03385), then fully
connected layers, which know the place of each feature.
"""

import torch
from torch import Tensor, nn

CROP_SIZE = 56
"""Side of the crops in pixels. Cutting out a crop takes longer than the network, and its time grows with the area."""

ENLARGEMENT = 1.2
"""Side of the crops as a multiple of the side of the face's square."""

STEM_CHANNELS = 16
STAGES = ((48, 2), (96, 4))
"""Channels and number of blocks of each stage. The stem and each stage halve the size."""
PLACE_CHANNELS = 24
"""Channels that the fully connected layers see at each of 7 x 7 places."""
HIDDEN = 128
"""Length of the fully connected layer in between."""


class LandmarkNetwork(nn.Module):
    """From the pixels of crops to points in the units of `facerec.inference.model_file.LANDMARK_OUTPUTS`."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_conv_block(3, STEM_CHANNELS, 3, stride=2)]
        inputs = STEM_CHANNELS
        for channels, count in STAGES:
            for index in range(count):
                blocks.append(_SeparableBlock(inputs, channels, stride=1 if index else 2))
                inputs = channels
        self.blocks = nn.Sequential(*blocks)
        places = (CROP_SIZE // 2 ** (len(STAGES) + 1)) ** 2
        self.points = nn.Sequential(
            _conv_block(inputs, PLACE_CHANNELS, 1),
            nn.Flatten(),
            nn.Linear(PLACE_CHANNELS * places, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, 10),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Find the points of a batch.

        Args:
            images: float32 `[N, 3, 56, 56]`, RGB, 0 to 255.

        Returns:
            float32 `[N, 5, 2]`.
        """
        points: Tensor = self.points(self.blocks((images - 128) / 64))
        return points.view(-1, 5, 2)


class _SeparableBlock(nn.Module):
    """A depth-wise and a point-wise convolution, with a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.shortcut = inputs == outputs and stride == 1
        self.convolutions = nn.Sequential(
            _conv_block(inputs, inputs, 3, stride=stride, groups=inputs), _conv_block(inputs, outputs, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convolutions(x)
        return x + y if self.shortcut else y


def _conv_block(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Make a convolution with batch normalization and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class LandmarkGraph(nn.Module):
    """The graph of the exported ONNX file: from uint8 crops to points.

    Args:
        network: the trained network, in evaluation mode.
    """

    def __init__(self, network: LandmarkNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Find the points of crops, uint8 `[N, 56, 56, 3]`, RGB. Returns float32 `[N, 5, 2]`."""
        points: Tensor = self.network(images.permute(0, 3, 1, 2).to(torch.float32))
        return points
