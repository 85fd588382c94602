"""How far the detector's outputs are from what is known of a scene."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from facerec.training.detection.compositing import SyntheticScene
from facerec.training.detection.network import STRIDE, Outputs

SPREAD = 0.12
"""Standard deviation of a face's peak in the heat map, as a share of its size."""
FOUND = 0.5
"""A score from which something in unsure parts of a synthetic scene is taken for a face that nobody labelled."""


class Target(NamedTuple):
    """What the outputs should be, for each cell of stacked synthetic scenes `[N, S/8, S/8]`."""

    heat: Tensor
    """float32, 1 at the cells of face centres, falling off around them."""
    faces: Tensor
    """float32 `[N, 4, S/8, S/8]` of the nearest peak: offset x and y, logarithm of the size (in cells), angle."""
    unsure: Tensor
    """bool."""


def target_of(scene: SyntheticScene) -> Target:
    """The target of one scene, without the axis N."""
    cells = len(scene.picture) // STRIDE
    heat = np.zeros((cells, cells), np.float32)
    faces = np.zeros((4, cells, cells), np.float32)
    middle = np.arange(cells, dtype=np.float32) + 0.5
    for face in scene.faces:
        x, y, size = face.x / STRIDE, face.y / STRIDE, face.size / STRIDE
        column, row = (min(max(int(place), 0), cells - 1) for place in (x, y))
        spread = max(0.6, SPREAD * size)
        distance = (middle - middle[column]) ** 2 + (middle[:, None] - middle[row]) ** 2
        peak = np.exp(-distance / (2 * spread**2))
        nearest = peak > heat
        heat = np.maximum(heat, peak)
        faces[0][nearest] = np.broadcast_to(x - middle, nearest.shape)[nearest]
        faces[1][nearest] = np.broadcast_to((y - middle)[:, None], nearest.shape)[nearest]
        faces[2][nearest], faces[3][nearest] = math.log(size), face.angle
    return Target(*map(torch.from_numpy, (heat, faces, _cells(scene.unsure))))


def _cells(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask of pixels as a mask of cells: whether any of a cell's pixels is set."""
    cells = len(pixels) // STRIDE
    return np.asarray(pixels.reshape(cells, STRIDE, cells, STRIDE).any(axis=(1, 3)))


def detection_loss(outputs: Outputs, target: Target) -> Tensor:
    """Focal loss on the heat map (CornerNet, arXiv:1808.01244) and distances of offset, size and angle near its peaks.

    In unsure cells, a score from `FOUND` on is not punished: there may be a face (compare "hard bootstrapping",
    arXiv:1412.6596).
    """
    score = outputs.logits.sigmoid()
    is_face = target.heat == 1
    ignored = target.unsure & (score.detach() > FOUND) & ~is_face
    hit = is_face * (1 - score) ** 2 * functional.softplus(-outputs.logits)
    false = (~is_face & ~ignored) * (1 - target.heat) ** 4 * score**2 * functional.softplus(outputs.logits)
    count = is_face.sum().clamp(min=1)
    weight = target.heat * (target.heat > 0.5)
    said = torch.cat([outputs.offsets, outputs.sizes[:, None], outputs.angles[:, None]], dim=1)
    scale = target.faces[:, 2:3].exp()  # an offset matters in relation to the face's size
    distances = functional.smooth_l1_loss(said, target.faces, reduction="none", beta=0.05)
    distances = torch.cat([distances[:, :2] * 4 / scale.clamp(min=2), 2 * distances[:, 2:]], dim=1).sum(1)
    return (hit + false).sum() / count + (weight * distances).sum() / weight.sum().clamp(min=1)
