"""Encode a decoded picture anew, for whoever sent it to look at."""

import base64
import io

from PIL import Image

from facerec.pictures.colour_modes import to_resizable, to_rgb

PREVIEW_SIDE = 1600
"""Longest side of a preview in pixels: fills a window, and keeps the faces of a group recognizable."""
_QUALITY = 85
"""Of the JPEG, 1 to 95. Nobody sees the loss on a screen."""


def preview_url(picture: Image.Image) -> str:
    """A `data:` URL (RFC 2397) of a JPEG of the picture, scaled down to `PREVIEW_SIDE` where it is larger.

    Every byte comes from the pixels. Nothing of the file is passed on: no metadata, and no bytes that a browser could
    take for something else than a picture.

    Args:
        picture: upright, of any mode. Transparent pixels are laid over white.
    """
    scale = max(1.0, max(picture.size) / PREVIEW_SIDE)
    width, height = (max(1, round(side / scale)) for side in picture.size)
    small = to_resizable(picture).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2)
    pixels = to_rgb(small)
    pixels.info.clear()  # Pillow would copy a comment
    file = io.BytesIO()
    pixels.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
