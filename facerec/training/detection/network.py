"""The detector's network: a heatmap of face centres, and the offset, size and angle of the face at each of its cells.

Sources: CenterNet (Objects as Points, arXiv:1904.07850) for the outputs, and a feature pyramid (arXiv:1612.03144) over
the first blocks of MobileNetV3-Small (arXiv:1905.02244) for the features.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v3_small
from torchvision.ops import nms

from facerec.training.backbone import normalize

STRIDE = 8
"""Pixels of the picture per cell of the outputs."""

LEVEL_END_BLOCKS = (4, 9, 11)
"""Number of backbone blocks up to the end of each level of the pyramid. The levels have stride 8, 16 and 32."""

LEVEL_CHANNELS = (24, 48, 96)
"""Number of backbone channels at the end of each level of the pyramid."""

PYRAMID_CHANNELS = 32
"""Number of channels of the pyramid."""

MAX_FACES = 100
"""Largest number of faces that the graph returns for a picture."""

NMS_MAX_IOU = 0.4
"""Largest intersection over union of two boxes that are both kept. Of two boxes that overlap more, non-maximum
suppression drops the one with the lower score."""

OUTPUT_MIN_SCORE = 0.05
"""Smallest score, 0 to 1, of a face that the graph returns."""

FULL_SCORE_MIN_PIXELS = 32
"""Smallest size in pixels of a face that keeps its score. The score of a smaller face is reduced in proportion to its
size, because small spots are mistaken for faces."""

SCORE_BIAS_INIT = -4.6
"""Initial bias of the score's logit. It gives a score of 0.01, as nearly all cells hold no face (RetinaNet,
arXiv:1708.02002)."""

LOG_SIZE_BIAS_INIT = 1.5
"""Initial bias of the logarithm of the size in cells: exp(1.5) = 4.5 cells, a typical size in synthetic scenes."""


class Outputs(NamedTuple):
    """The network's outputs for each cell of N pictures of H x W pixels, float32."""

    logits: Tensor
    """`[N, H/8, W/8]`, logit of the probability that a face's centre lies in the cell."""
    offsets: Tensor
    """`[N, 2, H/8, W/8]`, x and y from the cell's middle to the face's centre, in cells."""
    sizes: Tensor
    """`[N, H/8, W/8]`, logarithm of the face's size in cells."""
    angles: Tensor
    """`[N, H/8, W/8]`, angle of the face in radians, clockwise."""


class DetectorNetwork(nn.Module):
    """A fully convolutional network from normalized pictures to `Outputs`."""

    def __init__(self) -> None:
        super().__init__()
        self.features = mobilenet_v3_small().features[: LEVEL_END_BLOCKS[-1]]
        self.lateral = nn.ModuleList(_conv_block(channels, PYRAMID_CHANNELS, 1) for channels in LEVEL_CHANNELS)
        self.smooth = nn.Sequential(
            _conv_block(PYRAMID_CHANNELS, PYRAMID_CHANNELS, 5, groups=PYRAMID_CHANNELS),
            _conv_block(PYRAMID_CHANNELS, PYRAMID_CHANNELS, 1),
            _conv_block(PYRAMID_CHANNELS, PYRAMID_CHANNELS, 3),
        )
        self.outputs = nn.Conv2d(PYRAMID_CHANNELS, 5, 1)
        nn.init.normal_(self.outputs.weight, std=0.01)
        self.outputs.bias = nn.Parameter(torch.tensor([SCORE_BIAS_INIT, 0, 0, LOG_SIZE_BIAS_INIT, 0]))

    def forward(self, images: Tensor) -> Outputs:
        """Compute the outputs of a batch.

        Args:
            images: float32 `[N, 3, H, W]`, normalized pictures whose sides are multiples of 32 pixels.
        """
        levels, start = [], 0
        for stop in LEVEL_END_BLOCKS:
            images = self.features[start:stop](images)
            levels.append(images)
            start = stop
        merged = self.lateral[-1](levels[-1])
        for lateral, level in zip(self.lateral[-2::-1], levels[-2::-1], strict=True):
            merged = functional.interpolate(merged, scale_factor=2.0, mode="nearest") + lateral(level)
        outputs = self.outputs(self.smooth(merged))
        return Outputs(outputs[:, 0], outputs[:, 1:3], outputs[:, 3], outputs[:, 4])


def _conv_block(inputs: int, outputs: int, kernel: int, *, groups: int = 1) -> nn.Sequential:
    """Make a convolution with batch normalization and ReLU that keeps height and width."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class DetectorGraph(nn.Module):
    """The graph of the exported ONNX file: from the pixels of one picture to its faces, decoding and non-maximum
    suppression included.

    Args:
        network: the trained network, in evaluation mode.
    """

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Detect the faces of one picture.

        Args:
            image: uint8 `[H, W, 3]`, RGB, with sides that are multiples of 32 pixels.

        Returns:
            float32 `[K, 5]`, the x, y, size, angle and score of each face as in `facerec.inference.cropping.Face`, in
            the order of falling score. K is at most `MAX_FACES`.
        """
        logits, offsets, sizes, angles = self.network(normalize(image.permute(2, 0, 1)[None].float()))
        _, height, width = logits.shape
        scores = logits.sigmoid()
        peaks = scores * (scores == functional.max_pool2d(scores, 3, stride=1, padding=1))
        across = (torch.arange(width, device=image.device) + 0.5).expand(height, width)
        down = (torch.arange(height, device=image.device) + 0.5)[:, None].expand(height, width)
        x, y, size = STRIDE * (across + offsets[0, 0]), STRIDE * (down + offsets[0, 1]), STRIDE * sizes[0].exp()
        score = peaks[0] * (size / FULL_SCORE_MIN_PIXELS).clamp(max=1)
        rows = torch.stack([x, y, size, angles[0], score], dim=-1).flatten(0, 1)
        rows = rows[rows[:, 4] >= OUTPUT_MIN_SCORE]
        half = rows[:, 2:3] / 2
        kept = nms(torch.cat([rows[:, :2] - half, rows[:, :2] + half], dim=1), rows[:, 4], NMS_MAX_IOU)
        return rows[kept[:MAX_FACES]]
