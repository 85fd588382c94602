"""Random changes of aligned faces: of what teacher and student see alike, and of what the student alone sees.

The teacher labels what it is shown, so that faces may be changed beyond recognition: many are blends of two people,
which gives the student more faces than the data has. That both see the same is what makes long training pay
(Beyer et al., 2022, arXiv:2106.05237).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from facerec.training.backbone import denormalize, normalize
from facerec.training.recognition.augment import blur, draw_uniform, erase, recolour
from facerec.training.recognition.student import CROP_SIZE, VIEW_SIZE

DEFORM_PROBABILITY = 0.5
"""Probability of moving the parts of a face a little."""
MAX_DEFORMATION_STD = 5.0
"""Largest standard deviation in pixels of the shifts of a deformed face."""
DEFORMATION_POINTS = 5
"""Points on a side of the grid whose shifts are random. Those between are interpolated."""

MASK_POINTS = 4
"""Points on a side of the grid of a blend's mask."""
MAX_MASK_STD = 6.0
"""Largest standard deviation of the mask's logits over its places: a blend is even, or has parts of either face."""
MASK_BIAS_STD = 1.5
"""Standard deviation of the logit by which a blend is more of one face than of the other."""

ROTATION_STD = math.radians(3)
"""Standard deviation of the angle in radians by which the student's view is rotated."""
LOG_ZOOM_STD = 0.035
"""Standard deviation of the natural logarithm of the student's zoom."""
SHIFT_STD = 0.03
"""Standard deviation of the shift of the student's view in each direction, as a fraction of half its side."""
MAX_SHIFT = 0.1
"""Largest shift, as the same fraction. The points that align a face err less."""


def shared_views(
    crops: Tensor, others: Tensor, *, blend_probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Change faces as teacher and student shall see them.

    Args:
        crops: uint8 `[N, 160, 160, 3]`, RGB, aligned, on any device.
        others: faces of the same shape, with which they are blended.
        blend_probability: of being blended, for each face.
        generator: source of all randomness, on the CPU.

    Returns:
        The views, float32 `[N, 3, 160, 160]`, 0 to 255, and whether each shows one person, bool `[N]`.
    """
    count = len(crops)
    images, blended = _deform(crops, generator), torch.rand(count, generator=generator) < blend_probability
    blended = blended.to(images.device)
    bias = MASK_BIAS_STD * torch.randn(count, 1, 1, 1, generator=generator).to(images.device)
    strength = draw_uniform(0, MAX_MASK_STD, (count, 1, 1, 1), generator, images)
    mask = torch.sigmoid(bias + strength * _smooth_noise(count, MASK_POINTS, 1, generator, images))
    images = images + blended.view(-1, 1, 1, 1) * mask * (_deform(others, generator) - images)
    images = erase(normalize(recolour(images, generator=generator)), generator=generator)
    return denormalize(images), ~blended


def student_inputs(views: Tensor, *, generator: torch.Generator) -> Tensor:
    """Make the student's inputs of shared views: shifted, rotated and zoomed as by errors of alignment, and blurred.

    Args:
        views: uint8 `[N, 3, 160, 160]`, RGB, on any device.
        generator: source of all randomness, on the CPU.

    Returns:
        float32 `[N, 3, 128, 128]`, normalized, in channels-last memory, on the device of `views`.
    """
    count = len(views)

    def normal(std: float, *shape: int) -> Tensor:
        return std * torch.randn(count, *shape, generator=generator)

    angle, zoom = normal(ROTATION_STD), normal(LOG_ZOOM_STD).exp() * (VIEW_SIZE / CROP_SIZE)
    shift = normal(SHIFT_STD, 2).clamp(-MAX_SHIFT, MAX_SHIFT) * zoom[:, None]
    rows = (
        torch.stack([zoom * angle.cos(), -zoom * angle.sin(), shift[:, 0]], dim=1),
        torch.stack([zoom * angle.sin(), zoom * angle.cos(), shift[:, 1]], dim=1),
    )
    theta = torch.stack(rows, dim=1).to(views.device)
    grid = functional.affine_grid(theta, [count, 3, VIEW_SIZE, VIEW_SIZE], align_corners=False)
    images = functional.grid_sample(views.float(), grid, padding_mode="reflection", align_corners=False)
    images = normalize(blur(images, generator=generator))
    return images.contiguous(memory_format=torch.channels_last)


def training_inputs(crops: Tensor, *, generator: torch.Generator) -> Tensor:
    """Make inputs of crops with all random changes, as the student sees them, to be looked at.

    Args:
        crops: uint8 `[N, 160, 160, 3]`, RGB. Half are blended with the crop that is N / 2 places away.
        generator: source of all randomness, on the CPU.

    Returns:
        float32 `[N, 3, 128, 128]`, normalized.
    """
    views, _ = shared_views(crops, crops.roll(len(crops) // 2, 0), blend_probability=0.5, generator=generator)
    return student_inputs(views.round().to(torch.uint8), generator=generator)


def _deform(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of crops uint8 `[N, 160, 160, 3]`, and move the parts of some faces smoothly: `[N, 3, 160, 160]`."""
    images = crops.permute(0, 3, 1, 2).float()
    count = len(images)
    chosen = torch.rand(count, generator=generator) < DEFORM_PROBABILITY
    std = draw_uniform(0, MAX_DEFORMATION_STD, (count, 1, 1, 1), generator, images)
    pixels = std * chosen.view(-1, 1, 1, 1).to(images.device)
    shifts = pixels * _smooth_noise(count, DEFORMATION_POINTS, 2, generator, images) * (2 / CROP_SIZE)
    theta = torch.eye(2, 3).repeat(count, 1, 1)
    theta[:, 0, 0] = draw_uniform(-1, 1, (count,), generator, theta).sign()
    grid = functional.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return functional.grid_sample(
        images, grid + shifts.permute(0, 2, 3, 1), padding_mode="reflection", align_corners=False
    )


def _smooth_noise(count: int, points: int, channels: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """Noise `[N, channels, 160, 160]`: normal at the points of a square grid, interpolated between them."""
    noise = torch.randn(count, channels, points, points, generator=generator).to(like.device)
    return functional.interpolate(noise, size=(CROP_SIZE, CROP_SIZE), mode="bicubic", align_corners=True)
