"""The network: a heat map of face centres, and the offset, size and angle of the face at each place of it.

Sources: CenterNet (Objects as Points, arXiv:1904.07850) for the outputs, feature pyramids (arXiv:1612.03144) for what
they are computed from, on the first blocks of MobileNetV3-Large (arXiv:1905.02244).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v3_large
from torchvision.ops import nms

from facerec.inference.detector import SMALL
from facerec.training.backbone import normalize

STRIDE = 8
"""Pixels of the picture per cell of the outputs."""
LEVELS = (7, 13, 14)
"""How many of the backbone's blocks lie before each level of the pyramid: of stride 8, 16 and 32."""
LEVEL_CHANNELS = (40, 112, 160)
CHANNELS = 64
MOST_FACES = 100
OVERLAP = 0.4
"""Of two boxes that overlap more (intersection over union), the one with the lower score is dropped."""
LOWEST_SCORE = 0.05
PRIOR = -4.6
"""Logit of the score at the start: nearly every cell is no face's (RetinaNet, arXiv:1708.02002)."""


class Outputs(NamedTuple):
    """What the network says of each cell, float32."""

    logits: Tensor
    """`[N, H/8, W/8]`: of a face's centre lying there."""
    offsets: Tensor
    """`[N, 2, H/8, W/8]`: from the cell's middle to the face's centre, x and y, in cells."""
    sizes: Tensor
    """`[N, H/8, W/8]`: logarithm of the face's size in cells."""
    angles: Tensor
    """`[N, H/8, W/8]`: radians."""


class DetectorNetwork(nn.Module):
    """Normalized pictures to `Outputs`."""

    def __init__(self) -> None:
        super().__init__()
        self.features = mobilenet_v3_large().features[: LEVELS[-1]]
        self.lateral = nn.ModuleList(_block(channels, CHANNELS, 1) for channels in LEVEL_CHANNELS)
        self.smooth = nn.Sequential(
            _block(CHANNELS, CHANNELS, 5, groups=CHANNELS), _block(CHANNELS, CHANNELS, 1), _block(CHANNELS, CHANNELS, 3)
        )
        self.outputs = nn.Conv2d(CHANNELS, 5, 1)
        nn.init.normal_(self.outputs.weight, std=0.01)
        # The middle of the sizes in a synthetic scene is exp(1.5) = 4.5 cells.
        self.outputs.bias = nn.Parameter(torch.tensor([PRIOR, 0, 0, 1.5, 0]))

    def forward(self, images: Tensor) -> Outputs:
        """Normalized pictures `[N, 3, H, W]`, sides multiples of 32, to what is said of each cell."""
        levels, start = [], 0
        for stop in LEVELS:
            images = self.features[start:stop](images)
            levels.append(images)
            start = stop
        merged = self.lateral[-1](levels[-1])
        for lateral, level in zip(self.lateral[-2::-1], levels[-2::-1], strict=True):
            merged = functional.interpolate(merged, scale_factor=2.0, mode="nearest") + lateral(level)
        outputs = self.outputs(self.smooth(merged))
        return Outputs(outputs[:, 0], outputs[:, 1:3], outputs[:, 3], outputs[:, 4])


def _block(inputs: int, outputs: int, kernel: int, *, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class DetectorGraph(nn.Module):
    """The graph of the ONNX file: one picture in, its faces out."""

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """A picture uint8 `[H, W, 3]`, sides multiples of 32, to the faces `[K, 5]` of `model_file`."""
        logits, offsets, sizes, angles = self.network(normalize(image.permute(2, 0, 1)[None].float()))
        _, height, width = logits.shape
        scores = logits.sigmoid()
        peaks = scores * (scores == functional.max_pool2d(scores, 3, stride=1, padding=1))
        across = (torch.arange(width, device=image.device) + 0.5).expand(height, width)
        down = (torch.arange(height, device=image.device) + 0.5)[:, None].expand(height, width)
        x, y, size = STRIDE * (across + offsets[0, 0]), STRIDE * (down + offsets[0, 1]), STRIDE * sizes[0].exp()
        sure = peaks[0] * (size / SMALL).clamp(max=1)
        rows = torch.stack([x, y, size, angles[0], sure], dim=-1).flatten(0, 1)
        rows = rows[rows[:, 4] >= LOWEST_SCORE]
        half = rows[:, 2:3] / 2
        kept = nms(torch.cat([rows[:, :2] - half, rows[:, :2] + half], dim=1), rows[:, 4], OVERLAP)
        return rows[kept[:MOST_FACES]]
