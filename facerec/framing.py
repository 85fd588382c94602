"""Any picture becomes the 250 x 250 RGB frame that the model expects.

Used by training and by the service alike, so that both show the network the same pixels.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FRAME_SIZE = 250
"""Side of the square frame in pixels: the size of Labeled Faces in the Wild's own pictures."""

Frame = NDArray[np.uint8]
"""uint8 `[250, 250, 3]`, RGB, 0 to 255, upright."""


def frame_picture(picture: Image.Image) -> Frame:
    """The upright RGB centre square of `picture`, resized so that its shorter side is `FRAME_SIZE` pixels.

    Reads the pixels of a lazily opened picture, a large JPEG at reduced scale. Transparency is laid over white.

    Raises:
        OSError, ValueError, SyntaxError: whatever Pillow raises for pixels that can't be decoded.
    """
    picture.draft("RGB", (2 * FRAME_SIZE, 2 * FRAME_SIZE))  # JPEG only: decode at 1/2, 1/4, 1/8 where that suffices
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode in {"1", "P", "PA"}:  # resizing can't mix their colours
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    # Resized first, what follows copies little: a picture of 25 megapixels takes 100 MB, and a copy as much again.
    square = ImageOps.fit(picture, (FRAME_SIZE, FRAME_SIZE), Image.Resampling.BICUBIC)
    return cast(Frame, np.asarray(to_rgb(square), dtype=np.uint8))


def to_rgb(picture: Image.Image) -> Image.Image:
    """`picture` in mode RGB: 16 bits scaled to 8, transparency over white, palettes and CMYK converted."""
    if picture.mode.startswith("I"):  # Pillow's own conversion clips 16 bits at 255 instead of scaling them
        return Image.fromarray((np.asarray(picture, dtype=np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")
