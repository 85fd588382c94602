"""Pictures of any mode as RGB, and in a mode whose pixels can be mixed."""

import numpy as np
from PIL import Image


def to_rgb(picture: Image.Image) -> Image.Image:
    """`picture` in mode RGB: transparency over white, 16 bits scaled to 8, palettes and CMYK converted."""
    picture = mixable(picture)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def mixable(picture: Image.Image) -> Image.Image:
    """`picture` in a mode whose pixels resizing can mix: palettes and single bits as colours, 16 bits scaled to 8."""
    if picture.mode.startswith("I"):  # Pillow's own conversion clips 16 bits at 255 instead of scaling them
        return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
    if picture.mode in {"1", "P", "PA"}:
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    return picture
