"""Augment training crops: random warps, blur, colours and erased rectangles.

A whole batch is changed at once, because changing crops one by one takes as long as the network itself.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from facerec.inference.cropping import CROP_SIZE
from facerec.training.backbone import normalize
from facerec.training.recognition.network import INPUT_SIZE, VIEW_SIZE

MAX_ROTATION_RADIANS = math.radians(6)
"""Largest angle in radians that a crop is rotated by in either direction."""

MAX_LOG_ZOOM = 0.08
"""Natural logarithm of the largest factor that a crop is enlarged or reduced by."""

MAX_LOG_STRETCH = 0.05
"""Natural logarithm of the largest factor that a crop is stretched or compressed by horizontally."""

MAX_SHIFT_FRACTION = 0.06
"""Largest shift in each direction, as a fraction of half the side of the part that the network sees."""

BLUR_PROBABILITY = 0.15
"""Probability of halving an image's resolution, for faces that are small in their photo."""

GREY_PROBABILITY = 0.05
"""Probability of removing an image's colours, for black-and-white photos."""

ERASE_PROBABILITY = 0.3
"""Probability of erasing a rectangle of an image, for faces that are partly covered."""

BORDER_PIXELS = 25
"""Pixels at each side of a crop that no warp reaches. Leaving them out saves a third of the conversion to float."""

SATURATION_RANGE = (0.6, 1.4)
"""Factors of the saturation."""
CONTRAST_RANGE = (0.7, 1.3)
"""Factors of the contrast."""
MAX_LOG_CHANNEL_GAIN = 0.06
"""Natural logarithm of the largest gain of a colour channel."""
MAX_BRIGHTNESS_SHIFT = 0.15
"""Largest shift of the brightness, as a fraction of the range of pixel values."""
ERASED_SIDE_RANGE = (0.15, 0.5)
"""Sides of the covered rectangle, as fractions of the image's side."""
ERASED_COLOUR_STD = 0.7
"""Standard deviation of the covering colour, in normalized pixel values."""
LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in an image's grey version (ITU-R BT.601)."""


def augment(crops: Tensor, *, generator: torch.Generator) -> Tensor:
    """Make network inputs of training crops, each with random changes.

    Args:
        crops: uint8 `[N, 250, 250, 3]`, RGB, on any device.
        generator: source of all randomness, on the CPU.

    Returns:
        float32 `[N, 3, 224, 224]`, normalized, in channels-last memory, on the device of `crops`.
    """
    images = _warp(crops, generator=generator)
    images = blur(images, generator=generator)
    images = normalize(recolour(images, generator=generator))
    return erase(images, generator=generator).contiguous(memory_format=torch.channels_last)


def draw_uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Uniform random numbers from `low` to `high`, drawn on the CPU and moved to the device of `like`."""
    return torch.empty(shape).uniform_(low, high, generator=generator).to(like.device)


def _warp(crops: Tensor, *, generator: torch.Generator) -> Tensor:
    """Mirror, rotate, zoom, stretch and shift crops uint8 `[N, 250, 250, 3]` around their centre.

    Returns:
        float32 `[N, 3, 224, 224]`, 0 to 255: the changed part of the crops that the network sees.
    """
    pixels = crops[:, BORDER_PIXELS:-BORDER_PIXELS, BORDER_PIXELS:-BORDER_PIXELS].permute(0, 3, 1, 2).float()

    def uniform(limit: float) -> Tensor:
        return draw_uniform(-limit, limit, (len(crops),), generator, pixels)

    angle = uniform(MAX_ROTATION_RADIANS)
    zoom = uniform(MAX_LOG_ZOOM).exp() * VIEW_SIZE / (CROP_SIZE - 2 * BORDER_PIXELS)
    horizontal = zoom * uniform(MAX_LOG_STRETCH).exp() * uniform(1).sign()
    shift_x, shift_y = (uniform(MAX_SHIFT_FRACTION) * zoom for _ in range(2))
    rows = (
        torch.stack([horizontal * angle.cos(), -zoom * angle.sin(), shift_x], dim=1),
        torch.stack([horizontal * angle.sin(), zoom * angle.cos(), shift_y], dim=1),
    )
    grid = functional.affine_grid(
        torch.stack(rows, dim=1), [len(crops), 3, INPUT_SIZE, INPUT_SIZE], align_corners=False
    )
    return functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def blur(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Halve the resolution of some images float32 `[N, 3, S, S]`, in place, and return all."""
    chosen = torch.rand(len(images), generator=generator) < BLUR_PROBABILITY
    if chosen.any():
        small = functional.interpolate(images[chosen], scale_factor=0.5, mode="area")
        images[chosen] = functional.interpolate(small, size=images.shape[2:], mode="bilinear", align_corners=False)
    return images


def recolour(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Change saturation, contrast, white balance and brightness of images float32 `[N, 3, S, S]`, 0 to 255.

    All changes together are one 3 x 3 matrix and one offset for each image.
    """
    count = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return draw_uniform(low, high, (count, *shape), generator, images)

    saturation = uniform(*SATURATION_RANGE, 1, 1) * (uniform(0, 1, 1, 1) > GREY_PROBABILITY)
    luma = torch.tensor(LUMA_WEIGHTS, device=images.device)
    matrix = saturation * torch.eye(3, device=images.device) + (1 - saturation) * luma
    matrix = matrix * uniform(*CONTRAST_RANGE, 1, 1) * uniform(-MAX_LOG_CHANNEL_GAIN, MAX_LOG_CHANNEL_GAIN, 3, 1).exp()
    offset = uniform(-MAX_BRIGHTNESS_SHIFT, MAX_BRIGHTNESS_SHIFT, 1, 1) * 255
    flat = torch.baddbmm(offset + 128, matrix, images.flatten(2) - 128)
    return flat.view_as(images).clamp(0, 255)


def erase(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Cover a rectangle of some normalized images with a random colour (Zhong et al., 2017, arXiv:1708.04896)."""
    count, _, size, _ = images.shape
    positions = torch.arange(size, device=images.device) / size

    def random_interval(shape: tuple[int, ...]) -> Tensor:
        """Whether each row or column is in a random interval of its image, as a bool tensor of `shape`."""
        centre = draw_uniform(0, 1, (count, 1), generator, images)
        length = draw_uniform(*ERASED_SIDE_RANGE, (count, 1), generator, images)
        return ((positions - centre).abs() < length / 2).view(shape)

    chosen = (torch.rand(count, generator=generator) < ERASE_PROBABILITY).to(images.device)
    mask = random_interval((count, 1, size, 1)) & random_interval((count, 1, 1, size)) & chosen.view(-1, 1, 1, 1)
    colour = ERASED_COLOUR_STD * torch.randn(count, 3, 1, 1, generator=generator).to(images.device)
    return torch.where(mask, colour, images)
