"""From bytes that a stranger sent to an upright picture, or to one of the typed errors."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from PIL import ExifTags, Image, ImageOps, WebPImagePlugin  # noqa: F401 - registers WebP

from facerec.serving.errors import PictureTooLarge, ServiceError, TooManyPixels, UnsupportedPicture

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""What people plainly send; every other decoder is only a larger target."""

_MAX_SIDE = 65_535
"""Pixels, as in a JPEG. Pillow keeps a pointer for each row, which in a sliver takes more memory than its pixels."""
_SCALES = (8, 4, 2, 1)
"""How many times smaller than it is libjpeg can decode a JPEG."""
_TURNED = frozenset({5, 6, 7, 8})
"""EXIF orientations in which the file's rows are the scene's columns."""
_MAX_SCANS = 64
"""A progressive JPEG has ten scans; each more costs milliseconds a megapixel, and a file can hold thousands
(libjpeg-turbo, "Two Issues with the JPEG Standard")."""
_MAX_SEGMENTS = 2_000
"""Of a JPEG, its scans included; a large colour profile takes 255."""
_MAX_FILL = 1_000
"""Bytes before a segment of a JPEG: none are usual, any number is allowed, and Pillow reads them one by one."""
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
"""The start of a segment of a JPEG, its end, or that of the picture; within a scan it is none of the pixels' bytes."""
_JPEG = b"\xff\xd8\xff"
_START, _END, _SCAN = b"\xd8", b"\xd9", b"\xda"

Image.preinit()  # registers the other formats now; the first picture need not wait for it
# What Pillow finds odd in a file would be printed, and kept for ever, once for each file that a stranger thinks out.
warnings.filterwarnings("ignore", module=r"PIL\b")
# Between one and two times its limit Pillow only warns; its security handbook asks for this line.
warnings.simplefilter("error", Image.DecompressionBombWarning)


class Picture(NamedTuple):
    """A decoded picture."""

    image: Image.Image
    """Upright, in the file's mode."""
    shrink: int
    """How many pixels of the whole picture, 1, 2, 4 or 8, a pixel of `image` covers in each direction."""
    width: int
    """Pixels of the whole upright picture."""
    height: int


class PictureFile:
    """A JPEG, PNG, WebP, GIF or BMP file whose header has been judged: the bytes tell which, names and types don't.

    Its first frame is decoded as often, and as large, as it is needed.
    """

    def __init__(self, data: bytes, *, max_bytes: int, max_pixels: int) -> None:
        """Judge the header; no pixel is decoded.

        Raises:
            PictureTooLarge: more than `max_bytes`.
            TooManyPixels: more than `max_pixels`, or than a JPEG could have along a side.
            UnsupportedPicture: another format, or broken.
        """
        if len(data) > max_bytes:
            raise PictureTooLarge.over(max_bytes)
        if data.startswith(_JPEG) and _scans(data) > _MAX_SCANS:
            raise UnsupportedPicture
        self._data = data
        self._max_pixels = max_pixels
        with self._open() as picture:
            self.size = picture.size
            """Width and height in pixels as the header has them, before turning upright."""
            if picture.width * picture.height > max_pixels:
                raise TooManyPixels.over(max_pixels)
            if max(picture.size) > _MAX_SIDE:
                raise TooManyPixels(
                    f"A side of the picture has more than {_MAX_SIDE} pixels, the most that is decoded."
                )

    def decode(self, *, shrink: int = 1) -> Picture:
        """The picture, up to `shrink` times smaller where that spares work: in a JPEG.

        Raises:
            UnsupportedPicture: it is broken.
        """
        with self._open() as picture:
            width, height = picture.size
            scale = next((scale for scale in _SCALES if scale <= min(shrink, width, height)), 1)
            if not picture.draft(None, (width // scale, height // scale)):
                scale = 1
            picture.load()
            if picture.getexif().get(ExifTags.Base.Orientation) in _TURNED:
                width, height = height, width
            ImageOps.exif_transpose(picture, in_place=True)
            return Picture(picture, scale, width, height)

    @contextmanager
    def _open(self) -> Iterator[Image.Image]:
        try:
            with Image.open(io.BytesIO(self._data), formats=FORMATS) as picture:
                yield picture
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise TooManyPixels.over(self._max_pixels) from None
        except (ServiceError, MemoryError):
            raise
        except Exception:  # Pillow's decoders raise what they like on broken data: OSError, ValueError, struct.error
            raise UnsupportedPicture from None


def _scans(jpeg: bytes) -> int:
    """How many scans a JPEG has up to its end, behind which a phone may have put a film (ITU-T T.81, annex B).

    Raises:
        UnsupportedPicture: it has more segments, or more fill bytes before one, than any camera writes.
    """
    scans = place = 0
    for _ in range(_MAX_SEGMENTS):
        marker = _MARKER.search(jpeg, place)
        if not scans and (marker.start() if marker else len(jpeg)) - place > _MAX_FILL:
            break
        if not marker or marker[1] == _END:
            return scans
        scans += marker[1] == _SCAN
        place = marker.end()
        if marker[1] != _START:
            place += int.from_bytes(jpeg[place : place + 2])
    raise UnsupportedPicture
