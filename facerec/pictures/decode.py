"""Decode picture files from untrusted clients into upright Pillow images."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from PIL import ExifTags, Image, ImageOps, WebPImagePlugin  # noqa: F401 - importing it registers WebP

from facerec.pictures.errors import PictureError, PictureTooLarge, TooManyPixels, UnsupportedPicture

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""Formats that are read. Every further decoder would only add attack surface."""

_MAX_SIDE_PIXELS = 65_535
"""Longest side, as in a JPEG. Pillow keeps a pointer for each row, which in a very narrow picture takes more memory
than the pixels."""
_JPEG_SCALES = (8, 4, 2, 1)
"""Factors by which libjpeg can reduce a JPEG while it decodes it."""
_SIDEWAYS_ORIENTATIONS = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""
_MAX_JPEG_SCANS = 64
"""A progressive JPEG has about ten scans. Each costs milliseconds for a megapixel, and a file can hold thousands
(libjpeg-turbo, "Two Issues with the JPEG Standard")."""
_MAX_JPEG_SEGMENTS = 2_000
"""Segments of a JPEG, its scans included. A large colour profile takes 255."""
_MAX_JPEG_FILL_BYTES = 1_000
"""Fill bytes before a segment of a JPEG. Any number is valid but none are usual, and Pillow reads them one by one."""
_JPEG_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
"""A marker that starts a segment or the picture, or ends the picture. The data of a scan never contains one."""
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = b"\xd8", b"\xd9", b"\xda"

Image.preinit()  # registers the other formats now, so that the first picture doesn't wait for it
# Python prints each new warning and keeps it for ever, and clients could send files with ever new ones.
warnings.filterwarnings("ignore", module=r"PIL\b")
# Between one and two times its pixel limit Pillow only warns. Its documentation recommends to make this an error.
warnings.simplefilter("error", Image.DecompressionBombWarning)


class Picture(NamedTuple):
    """A decoded picture."""

    image: Image.Image
    """Upright, in the file's mode."""
    shrink: int
    """How many pixels of the whole picture one pixel of `image` covers in each direction: 1, 2, 4 or 8."""
    width: int
    """Pixels of the whole upright picture."""
    height: int


class PictureFile:
    """A JPEG, PNG, WebP, GIF or BMP file whose header has been checked.

    The format is recognized by the bytes alone, not by file names or media types. Of an animation only the first image
    is read. `decode` can be called several times, for different sizes.
    """

    def __init__(self, data: bytes, *, max_bytes: int, max_pixels: int) -> None:
        """Check the header. No pixel is decoded.

        Raises:
            PictureTooLarge: more than `max_bytes`.
            TooManyPixels: more than `max_pixels`, or a side longer than 65,535.
            UnsupportedPicture: another format, or damaged.
        """
        if len(data) > max_bytes:
            raise PictureTooLarge.over(max_bytes)
        if data.startswith(_JPEG_SIGNATURE) and _count_scans(data) > _MAX_JPEG_SCANS:
            raise UnsupportedPicture
        self._data = data
        self._max_pixels = max_pixels
        with self._open() as picture:
            self.size = picture.size
            """Width and height in pixels as stored in the file, before the EXIF orientation is applied."""
            if picture.width * picture.height > max_pixels:
                raise TooManyPixels.over(max_pixels)
            if max(picture.size) > _MAX_SIDE_PIXELS:
                raise TooManyPixels(
                    f"A side of the picture has more than {_MAX_SIDE_PIXELS} pixels, the most that is decoded."
                )

    def decode(self, *, shrink: int = 1) -> Picture:
        """Decode the picture and turn it upright.

        Args:
            shrink: how many times smaller the picture may become where that saves work, which is so for a JPEG.

        Raises:
            UnsupportedPicture: the file is damaged.
        """
        with self._open() as picture:
            width, height = picture.size
            scale = next((scale for scale in _JPEG_SCALES if scale <= min(shrink, width, height)), 1)
            if not picture.draft(None, (width // scale, height // scale)):
                scale = 1
            picture.load()
            if picture.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS_ORIENTATIONS:
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
        except (PictureError, MemoryError):
            raise
        except Exception:  # damaged data makes Pillow's decoders raise OSError, ValueError, struct.error and others
            raise UnsupportedPicture from None


def _count_scans(jpeg: bytes) -> int:
    """The number of scans of a JPEG up to its end marker (ITU-T T.81, annex B). Phones append films after it.

    Raises:
        UnsupportedPicture: it has more segments, or more fill bytes before one, than cameras write.
    """
    scans = position = 0
    for _ in range(_MAX_JPEG_SEGMENTS):
        marker = _JPEG_MARKER.search(jpeg, position)
        if not scans and (marker.start() if marker else len(jpeg)) - position > _MAX_JPEG_FILL_BYTES:
            break
        if not marker or marker[1] == _END_OF_IMAGE:
            return scans
        scans += marker[1] == _START_OF_SCAN
        position = marker.end()
        if marker[1] != _START_OF_IMAGE:
            position += int.from_bytes(jpeg[position : position + 2])
    raise UnsupportedPicture
