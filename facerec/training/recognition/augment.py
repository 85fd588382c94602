"""Random changes of training crops, made for a whole batch at once: one by one they cost as much as the network."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from facerec.inference.cropping import CROP_SIZE
from facerec.training.backbone import normalize
from facerec.training.recognition.network import CENTRE_SIZE, INPUT_SIZE

MAX_ROTATION = math.radians(6)
MAX_ZOOM = 0.08  # in log scale
MAX_STRETCH = 0.05  # in log scale
MAX_SHIFT = 0.06  # of the crop's half side
BLUR_PROBABILITY = 0.15  # faces that were small in their photo
GREY_PROBABILITY = 0.05
ERASE_PROBABILITY = 0.3  # faces partly hidden
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def augment(crops: Tensor, *, generator: torch.Generator) -> Tensor:
    """Changed network inputs of training crops.

    Args:
        crops: uint8 `[N, 250, 250, 3]`.
        generator: source of all randomness, on the CPU.

    Returns:
        float32 `[N, 3, 224, 224]`, normalized, in channels-last memory.
    """
    images = _warp(crops, generator=generator)
    images = _blur(images, generator=generator)
    images = normalize(_recolour(images, generator=generator))
    return _erase(images, generator=generator).contiguous(memory_format=torch.channels_last)


def _uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.empty(shape).uniform_(low, high, generator=generator).to(like.device)


def _warp(crops: Tensor, *, generator: torch.Generator) -> Tensor:
    """Mirror, rotate, zoom, stretch and shift around the crop's centre, and cut the crop."""
    border = 25  # no warp reaches it: leaving it out saves a third of the conversion to float
    pixels = crops[:, border:-border, border:-border].permute(0, 3, 1, 2).float()

    def uniform(limit: float) -> Tensor:
        return _uniform(-limit, limit, (len(crops),), generator, pixels)

    angle = uniform(MAX_ROTATION)
    zoom = uniform(MAX_ZOOM).exp() * CENTRE_SIZE / (CROP_SIZE - 2 * border)
    horizontal = zoom * uniform(MAX_STRETCH).exp() * uniform(1).sign()
    shift_x, shift_y = (uniform(MAX_SHIFT) * zoom for _ in range(2))
    rows = (
        torch.stack([horizontal * angle.cos(), -zoom * angle.sin(), shift_x], dim=1),
        torch.stack([horizontal * angle.sin(), zoom * angle.cos(), shift_y], dim=1),
    )
    grid = functional.affine_grid(
        torch.stack(rows, dim=1), [len(crops), 3, INPUT_SIZE, INPUT_SIZE], align_corners=False
    )
    return functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def _blur(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Halve the resolution of some images."""
    chosen = torch.rand(len(images), generator=generator) < BLUR_PROBABILITY
    if chosen.any():
        small = functional.interpolate(images[chosen], scale_factor=0.5, mode="area")
        images[chosen] = functional.interpolate(small, size=images.shape[2:], mode="bilinear", align_corners=False)
    return images


def _recolour(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Change saturation, contrast, white balance and brightness: together one 3 x 3 matrix and an offset an image."""
    count = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return _uniform(low, high, (count, *shape), generator, images)

    saturation = uniform(0.6, 1.4, 1, 1) * (uniform(0, 1, 1, 1) > GREY_PROBABILITY)
    luma = torch.tensor(LUMA, device=images.device)
    matrix = saturation * torch.eye(3, device=images.device) + (1 - saturation) * luma
    matrix = matrix * uniform(0.7, 1.3, 1, 1) * uniform(-0.06, 0.06, 3, 1).exp()
    offset = uniform(-0.15, 0.15, 1, 1) * 255
    flat = torch.baddbmm(offset + 128, matrix, images.flatten(2) - 128)
    return flat.view_as(images).clamp(0, 255)


def _erase(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Cover a rectangle of some images with one random colour (Random Erasing, arXiv:1708.04896)."""
    count, _, size, _ = images.shape
    place = torch.arange(size, device=images.device) / size

    def inside(shape: tuple[int, ...]) -> Tensor:
        centre = _uniform(0, 1, (count, 1), generator, images)
        length = _uniform(0.15, 0.5, (count, 1), generator, images)
        return ((place - centre).abs() < length / 2).view(shape)

    chosen = (torch.rand(count, generator=generator) < ERASE_PROBABILITY).to(images.device)
    mask = inside((count, 1, size, 1)) & inside((count, 1, 1, size)) & chosen.view(-1, 1, 1, 1)
    colour = 0.7 * torch.randn(count, 3, 1, 1, generator=generator).to(images.device)
    return torch.where(mask, colour, images)
