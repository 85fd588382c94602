"""How sharp a face is."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE
from facerec.inference.sharpness import measure_sharpness


def textured_crop(size: int = CROP_SIZE) -> NDArray[np.uint8]:
    """Spots of four pixels on a surface that grows lighter from left to right."""
    spots = np.random.default_rng(0).integers(0, 128, (size // 4, size // 4, 3), dtype=np.uint8)
    crop = np.asarray(Image.fromarray(spots).resize((size, size), Image.Resampling.BICUBIC))
    return crop + np.linspace(0, 127, size).astype(np.uint8)[None, :, None]


def test_blur_lowers_the_sharpness_and_size_and_contrast_do_not() -> None:
    crop = Image.fromarray(textured_crop())
    filters = [ImageFilter.GaussianBlur(radius) for radius in (0, 2, 4, 8)]
    blurred = [measure_sharpness(np.asarray(crop.filter(each)), FACE_SIZE) for each in filters]
    assert blurred == sorted(blurred, reverse=True)
    assert blurred[0] > 2 * blurred[-1]
    pale = np.asarray(crop.point(lambda value: 100 + value // 2))
    assert measure_sharpness(pale, FACE_SIZE) == pytest.approx(blurred[0], rel=0.05)
    large = np.asarray(crop.resize((400, 400), Image.Resampling.BICUBIC))
    assert measure_sharpness(large, FACE_SIZE * 400 / CROP_SIZE) == pytest.approx(blurred[0], rel=0.1)
    assert measure_sharpness(np.zeros_like(textured_crop()), FACE_SIZE) == 0
