"""From bytes that a stranger sent to an upright RGB frame, or to one of the typed errors."""

import io
import warnings
from typing import NamedTuple

from PIL import Image, WebPImagePlugin  # noqa: F401 - registers WebP

from facerec.framing import Frame, frame_picture
from facerec.serving.errors import PictureTooLarge, TooManyPixels, UnsupportedPicture

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""What people plainly send; every other decoder is only a larger target."""

_MAX_SCANS = 256
"""A progressive JPEG has ten scans; one of thousands keeps a CPU busy for hours (libjpeg-turbo, "Two Issues with the
JPEG Standard")."""
_START_OF_SCAN = b"\xff\xda"

Image.preinit()  # registers the other formats now; the first picture need not wait for it
# Between one and two times its limit Pillow only warns; its security handbook asks for this line.
warnings.simplefilter("error", Image.DecompressionBombWarning)


class Picture(NamedTuple):
    """A decoded picture."""

    frame: Frame
    width: int
    """Pixels, as the file's header has them: before framing and turning upright."""
    height: int


def decode(data: bytes, *, max_bytes: int, max_pixels: int) -> Picture:
    """Decode the first frame of a JPEG, PNG, WebP, GIF or BMP file; the bytes tell which, names and types don't count.

    The header is judged before any pixel is decoded.

    Raises:
        PictureTooLarge: more than `max_bytes`.
        TooManyPixels: more than `max_pixels`.
        UnsupportedPicture: another format, or broken.
    """
    if len(data) > max_bytes:
        raise PictureTooLarge
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > max_pixels:
                raise TooManyPixels
            if picture.format in {"JPEG", "MPO"} and data.count(_START_OF_SCAN) > _MAX_SCANS:
                raise UnsupportedPicture
            return Picture(frame_picture(picture), width, height)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise TooManyPixels from None
    except (TooManyPixels, UnsupportedPicture, MemoryError):
        raise
    except Exception:  # Pillow's decoders raise what they like on broken data: OSError, ValueError, struct.error, ...
        raise UnsupportedPicture from None
