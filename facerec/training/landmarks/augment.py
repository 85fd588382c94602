"""Augment labelled faces: jitter of the square, mirror images, colours, small and compressed pictures, covered parts.

A whole batch is changed at once where that is possible, because cutting crops one by one takes as long as the network.
"""

import io
import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from facerec.training.landmarks.labels import Points, mirror
from facerec.training.landmarks.network import CROP_SIZE, ENLARGEMENT

SOURCE_SIZE = 154
"""Side in pixels of the upright crops that crops for training are cut from. Their faces are 64 pixels large."""
SOURCE_ENLARGEMENT = 2.4
"""Side of those crops as a multiple of the side of the face's square: room for jitter."""

SHIFT_STD = 0.06
"""Standard deviation of the shift in x and y, in sides of the square. The detector's scatter on LFW is 0.03."""
LOG_SIZE_STD = 0.1
"""Standard deviation of the logarithm of the change of size. The detector's scatter on LFW is 0.08."""
MAX_STANDARD_DEVIATIONS = 2.5
"""Largest shift and change of size, in standard deviations."""
MAX_ANGLE = math.radians(20)
"""Largest rotation in radians. It is 15 degrees more than the scatter of the detector's angle."""

LOG_CONTRAST_STD = 0.25
BRIGHTNESS_STD = 25.0
"""Standard deviation of the shift of brightness, in pixel values."""
LOG_CHANNEL_GAIN_STD = 0.08
GREY_PROBABILITY = 0.15
LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in an image's grey version (ITU-R BT.601)."""
DEGRADE_PROBABILITY = 0.35
"""Probability of reducing a crop and compressing it as JPEG, as faces are that are small in their picture."""
DEGRADED_SIDE_RANGE = (12, CROP_SIZE)
"""Sides in pixels to which a crop is reduced. Faces are then 9 to 40 pixels large."""
JPEG_QUALITY_RANGE = (25, 96)
COVER_PROBABILITY = 0.3
"""Probability of covering a rectangle of a crop, as hands, hair and microphones do."""
COVERED_SIDE_RANGE = (0.1, 0.45)
"""Sides of the covered rectangle, as fractions of the crop's side."""


def augment(sources: NDArray[np.uint8], points: Points, *, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Cut crops for training out of larger ones, each with random changes.

    Args:
        sources: uint8 `[N, 154, 154, 3]`, RGB.
        points: `[N, 5, 2]`, of their faces.
        random: the generator that decides everything.

    Returns:
        The crops, float32 `[N, 3, 56, 56]`, 0 to 255, in channels-last memory, and their points, float32 `[N, 5, 2]`.
    """
    images, points = _jitter(sources, points, random)
    images = _recolour(images, random)
    _cover(images, random)
    _degrade(images, random)
    return images.contiguous(memory_format=torch.channels_last), torch.from_numpy(points.astype(np.float32))


def _jitter(sources: NDArray[np.uint8], points: Points, random: np.random.Generator) -> tuple[Tensor, Points]:
    """Cut crops as if the detector had erred, and mirror half of them."""
    count = len(sources)

    def normal(deviation: float, *shape: int) -> NDArray[np.float64]:
        limited = random.standard_normal((count, *shape)).clip(-MAX_STANDARD_DEVIATIONS, MAX_STANDARD_DEVIATIONS)
        return deviation * limited

    shifts, scales, angles = (
        normal(SHIFT_STD, 2),
        np.exp(normal(LOG_SIZE_STD)),
        random.uniform(-1, 1, count) * MAX_ANGLE,
    )
    cos, sin = np.cos(angles), np.sin(angles)
    turns = np.stack([cos, -sin, sin, cos], axis=1).reshape(
        count, 2, 2
    )  # from the erring square's axes to upright ones
    points = (points - shifts[:, None]) @ turns / scales[:, None, None]
    mirrored = random.random(count) < 0.5
    points[mirrored] = mirror(points[mirrored])
    # A crop's coordinates go from -1 to 1, as affine_grid has them: they are multiples of half its side.
    matrices = turns * scales[:, None, None] * (ENLARGEMENT / SOURCE_ENLARGEMENT)
    matrices[mirrored, :, 0] *= -1
    theta = np.concatenate([matrices, shifts[:, :, None] * (2 / SOURCE_ENLARGEMENT)], axis=2).astype(np.float32)
    grid = functional.affine_grid(torch.from_numpy(theta), [count, 3, CROP_SIZE, CROP_SIZE], align_corners=False)
    pixels = torch.from_numpy(sources).permute(0, 3, 1, 2).float()
    return functional.grid_sample(pixels, grid, align_corners=False), points


def _recolour(images: Tensor, random: np.random.Generator) -> Tensor:
    """Change brightness, contrast and white balance, and make some crops grey."""
    count = len(images)
    grey = random.random((count, 1, 1)) < GREY_PROBABILITY
    matrix = np.where(grey, np.array(LUMA_WEIGHTS), np.eye(3))
    matrix = matrix * np.exp(random.normal(0, LOG_CONTRAST_STD, (count, 1, 1)))
    matrix *= np.exp(random.normal(0, LOG_CHANNEL_GAIN_STD, (count, 3, 1)))
    offset = 128 + random.normal(0, BRIGHTNESS_STD, (count, 1, 1))
    flat = torch.baddbmm(_float(offset), _float(matrix), images.flatten(2) - 128)
    return flat.view_as(images).clamp(0, 255)


def _cover(images: Tensor, random: np.random.Generator) -> None:
    """Cover a rectangle of some crops with a random colour, in place."""
    size = images.shape[2]
    for number in np.flatnonzero(random.random(len(images)) < COVER_PROBABILITY).tolist():
        height, width = (size * random.uniform(*COVERED_SIDE_RANGE, 2)).astype(int).tolist()
        top, left = random.integers(0, (size - height, size - width)).tolist()
        colour = _float(random.uniform(0, 255, (3, 1, 1)))
        images[number, :, top : top + height, left : left + width] = colour


def _degrade(images: Tensor, random: np.random.Generator) -> None:
    """Reduce some crops, compress them as JPEG and enlarge them again, in place."""
    for number in np.flatnonzero(random.random(len(images)) < DEGRADE_PROBABILITY).tolist():
        image = Image.fromarray(images[number].permute(1, 2, 0).byte().numpy())
        side = round(math.exp(random.uniform(*np.log(DEGRADED_SIDE_RANGE))))
        file = io.BytesIO()
        image.resize((side, side), Image.Resampling.BILINEAR).save(
            file, "JPEG", quality=int(random.integers(*JPEG_QUALITY_RANGE))
        )
        image = Image.open(file, formats=("JPEG",)).resize(image.size, Image.Resampling.BICUBIC)
        images[number] = torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _float(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
