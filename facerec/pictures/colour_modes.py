"""Conversions between the modes of Pillow images."""

import numpy as np
from PIL import Image


def to_rgb(picture: Image.Image) -> Image.Image:
    """Convert `picture` to mode RGB.

    Transparent pixels are laid over white, 16-bit values are scaled to 8 bits, palettes and CMYK are converted.
    """
    picture = to_resizable(picture)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def to_resizable(picture: Image.Image) -> Image.Image:
    """Convert `picture` to a mode in which resizing can average pixels.

    Palettes and single bits become colours, and 16-bit values are scaled to 8 bits.
    """
    if picture.mode.startswith("I"):  # Pillow's own conversion clips 16-bit values at 255 instead of scaling them
        return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
    if picture.mode in {"1", "P", "PA"}:
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    return picture
