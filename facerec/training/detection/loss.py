"""The detector's training targets and loss: a heatmap of face centres, and regression of position, size and angle.

Source: CenterNet (Objects as Points, arXiv:1904.07850).
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from facerec.training.detection.compositing import SyntheticScene
from facerec.training.detection.network import STRIDE, Outputs

PEAK_STD_FACE_FRACTION = 0.12
"""Standard deviation of a face's Gaussian peak in the heatmap, as a fraction of the face's size."""

UNLABELLED_FACE_MIN_SCORE = 0.5
"""Score, 0 to 1, above which a detection under the ignore mask is assumed to be an unlabelled face."""


class Target(NamedTuple):
    """The wanted outputs for each cell of a batch of N synthetic scenes of S x S pixels."""

    heatmap: Tensor
    """float32 `[N, S/8, S/8]`, 0 to 1: 1 at the cell of each face's centre, with a Gaussian peak around it."""
    regression: Tensor
    """float32 `[N, 4, S/8, S/8]`, for the face whose peak is highest at the cell: offset x and offset y from the cell's
    middle to the face's centre in cells, logarithm of the face's size in cells, angle in radians. 0 where there is no
    peak."""
    ignore_mask: Tensor
    """bool `[N, S/8, S/8]`, true where the cell may show an unlabelled face."""


def target_of(scene: SyntheticScene) -> Target:
    """Make the target of one scene, without the batch axis.

    Args:
        scene: a scene whose side is a multiple of 8 pixels.
    """
    cells = len(scene.picture) // STRIDE
    heatmap = np.zeros((cells, cells), np.float32)
    regression = np.zeros((4, cells, cells), np.float32)
    middle = np.arange(cells, dtype=np.float32) + 0.5
    for face in scene.faces:
        x, y, size = face.x / STRIDE, face.y / STRIDE, face.size / STRIDE
        column, row = (min(max(int(position), 0), cells - 1) for position in (x, y))
        std = max(0.6, PEAK_STD_FACE_FRACTION * size)  # a small face's peak, too, reaches the next cells
        squared_distance = (middle - middle[column]) ** 2 + (middle[:, None] - middle[row]) ** 2
        peak = np.exp(-squared_distance / (2 * std**2))
        highest = peak > heatmap
        heatmap = np.maximum(heatmap, peak)
        regression[0][highest] = np.broadcast_to(x - middle, highest.shape)[highest]
        regression[1][highest] = np.broadcast_to((y - middle)[:, None], highest.shape)[highest]
        regression[2][highest], regression[3][highest] = math.log(size), face.angle
    return Target(*map(torch.from_numpy, (heatmap, regression, _any_per_cell(scene.ignore_mask))))


def _any_per_cell(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Reduce a pixel mask, bool `[S, S]`, to cells, bool `[S/8, S/8]`: true where any of a cell's pixels is true."""
    cells = len(mask) // STRIDE
    return np.asarray(mask.reshape(cells, STRIDE, cells, STRIDE).any(axis=(1, 3)))


def detection_loss(outputs: Outputs, target: Target) -> Tensor:
    """Focal loss of the heatmap, plus smooth L1 loss of offset, size and angle near the heatmap's peaks.

    The focal loss is that of CornerNet (arXiv:1808.01244). Under the ignore mask, scores above
    `UNLABELLED_FACE_MIN_SCORE` cost nothing, as there may be an unlabelled face (compare "hard bootstrapping",
    arXiv:1412.6596).

    Args:
        outputs: the network's outputs for N scenes.
        target: the targets of the same scenes.

    Returns:
        float32 scalar, 0 or more. Both terms are normalized over the batch: the first by the number of faces, the
        second by the sum of the heatmap's weights.
    """
    score = outputs.logits.sigmoid()
    is_face = target.heatmap == 1
    ignored = target.ignore_mask & (score.detach() > UNLABELLED_FACE_MIN_SCORE) & ~is_face
    positive_loss = is_face * (1 - score) ** 2 * functional.softplus(-outputs.logits)
    negative_loss = (~is_face & ~ignored) * (1 - target.heatmap) ** 4 * score**2 * functional.softplus(outputs.logits)
    face_count = is_face.sum().clamp(min=1)
    weight = target.heatmap * (target.heatmap > 0.5)
    predicted = torch.cat([outputs.offsets, outputs.sizes[:, None], outputs.angles[:, None]], dim=1)
    size = target.regression[:, 2:3].exp()
    distances = functional.smooth_l1_loss(predicted, target.regression, reduction="none", beta=0.05)
    # The same offset matters less the larger the face is.
    distances = torch.cat([distances[:, :2] * 4 / size.clamp(min=2), 2 * distances[:, 2:]], dim=1).sum(1)
    return (positive_loss + negative_loss).sum() / face_count + (weight * distances).sum() / weight.sum().clamp(min=1)
