"""Decode picture files from untrusted clients into upright Pillow images."""

import hashlib
import io
import re
import warnings
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import pi_heif  # type: ignore[import-untyped]
from PIL import AvifImagePlugin, ExifTags, Image, ImageOps, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - registers

from facerec.pictures.containers import jpeg, read_container
from facerec.pictures.errors import PictureTooLarge, TooManyPixels, UnsupportedPicture

PICTURE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".heic",
        ".heif",
        ".hif",
        ".avif",
        ".tif",
        ".tiff",
        ".bmp",
        ".gif",
    )
)
"""Lower-case suffixes of the files that are read as pictures where a folder is searched."""

_MAX_SIDE_PIXELS = 65_535
"""Longest side, as in a JPEG. Pillow keeps a pointer for each row, which in a very narrow picture takes more memory
than the pixels."""
_JPEG_SCALES = (8, 4, 2, 1)
"""Factors by which libjpeg can reduce a JPEG while it decodes it."""
_SIDEWAYS_ORIENTATIONS = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""
_ONE_PASS_JPEG_FACTOR, _JPEG_FACTOR = 8, 2
"""How many times the limit of pixels a JPEG may declare, as it is decoded at a scale that keeps the limit. Phones write
200 megapixels in one pass. In several passes libjpeg holds the whole picture in up to eight bytes a pixel."""
_DECODER_BYTES_PER_PIXEL = {"JPEG": 8, "WEBP": 20, "AVIF": 16, "HEIF": 16}
"""Bytes for each pixel that decoders take which don't tell a lack of memory from a damaged file. For a JPEG it holds
where the file has several passes."""
_DECODER_BYTES = 1 << 25
"""Bytes that they take besides: libde265 ends the process if it can't start its thread."""
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "I;16B"})
"""Pillow's modes of pixels that can be converted to RGB. A TIFF may have others."""
_OUT_OF_MEMORY = re.compile(
    r"out of memory|memory allocation error(?!: security limit)|decoder error -9", re.IGNORECASE
)
"""Found in the messages of Pillow's decoders where the memory did not suffice."""
_NOISES = [
    b"".join(bytes((*range(254, -1, -1), 0xFF, 0xD0 + restart)) for restart in restarts) + bytes(range(254, -1, -1))
    for restarts in ((0, 1, 2), (4, 5, 6))
]
"""Stand for the data that a JPEG without an end marker may lack: any bytes between restart markers. libjpeg passes over
a marker whose number is one or two too low, but stops at one that is one or two too high, so there are two ranges."""

_Result = TypeVar("_Result")

# PictureFile limits the pixels itself, in a large JPEG those that are decoded. Pillow's limit is for the declared ones.
Image.MAX_IMAGE_PIXELS = None
# Python prints each new warning and keeps it for ever, and clients could send files with ever new ones.
warnings.filterwarnings("ignore", module=r"PIL\b")
# The other formats are registered now, so that the first picture doesn't wait for it, and by name, so that Pillow never
# imports its forty plugins.
Image.preinit()
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


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
    """A JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF file whose header has been checked.

    The format is recognized by the bytes alone, not by file names or media types. Of an animation or of several pages
    only the first picture is read. `decode` can be called several times, for different sizes.
    """

    def __init__(self, data: bytes, *, max_bytes: int, max_pixels: int) -> None:
        """Check the header. No pixel is decoded.

        Raises:
            PictureTooLarge: more than `max_bytes`.
            TooManyPixels: more than `max_pixels`, or a side longer than 65,535. A JPEG may declare 8 times as many, or
                twice as many if it is progressive, and is then decoded at a reduced scale.
            UnsupportedPicture: another format, or damaged.
            MemoryError: too little memory.
        """
        if len(data) > max_bytes:
            raise PictureTooLarge.over(max_bytes)
        self._max_pixels = max_pixels
        self._container = _translated(lambda: read_container(data))
        if self._container.canvas:
            self._check_size(self._container.canvas)
            self._reserve_memory(self._container.canvas)
        self.size = _translated(self._read_size)
        """Width and height in pixels as stored in the file, before the EXIF orientation is applied."""
        self._check_size(self.size)
        self.sha256 = hashlib.sha256(data).hexdigest()
        """Of the file, in hexadecimal."""

    def decode(self, *, shrink: int = 1) -> Picture:
        """Decode the picture and turn it upright.

        Args:
            shrink: how many times smaller the picture may become where that saves work, which is so for a JPEG. A JPEG
                of more than `max_pixels` becomes smaller in any case.

        Raises:
            UnsupportedPicture: the file is damaged.
            MemoryError: too little memory.
        """
        return _translated(lambda: self._decode(self._scale(shrink)))

    def _check_size(self, size: tuple[int, int]) -> None:
        most = self._max_pixels
        if self._container.format == "JPEG" and min(size) >= max(_JPEG_SCALES):
            most *= _ONE_PASS_JPEG_FACTOR if self._container.one_pass else _JPEG_FACTOR
        if size[0] * size[1] > most:
            raise TooManyPixels.over(most)
        if max(size) > _MAX_SIDE_PIXELS:
            raise TooManyPixels(
                f"A side of the picture has more than {_MAX_SIDE_PIXELS} pixels, the most that is decoded."
            )

    def _read_size(self) -> tuple[int, int]:
        with self._open(self._container.data) as picture:
            return picture.size

    def _open(self, data: bytes) -> Image.Image:
        return Image.open(io.BytesIO(data), formats=(self._container.format,))

    def _reserve_memory(self, size: tuple[int, int]) -> None:
        """Raises:
        MemoryError: less memory is left than decoding so many pixels takes.
        """
        if not self._container.one_pass and (per_pixel := _DECODER_BYTES_PER_PIXEL.get(self._container.format)):
            bytes(_DECODER_BYTES + per_pixel * size[0] * size[1])  # nothing is written to it, so it takes no time

    def _scale(self, shrink: int) -> int:
        """The factor by which a JPEG is reduced while it is decoded."""
        if self._container.format != "JPEG":
            return 1
        width, height = self.size
        scale = next((scale for scale in _JPEG_SCALES if scale <= min(shrink, width, height)), 1)
        while -(-width // scale) * -(-height // scale) > self._max_pixels:
            scale *= 2
        return scale

    def _decode(self, scale: int) -> Picture:
        data, ended = self._container.data, self._container.ended
        digests = set() if ended else {_digest(self._load(data + noise + jpeg.END, scale)) for noise in _NOISES}
        picture = self._load(data if ended else data + jpeg.END, scale)
        if not ended and digests != {_digest(picture)}:  # pixels depend on data that is missing
            raise UnsupportedPicture
        # Without the file's metadata only an AVIF has EXIF here: Pillow's own, which tells the container's rotation.
        orientation = picture.getexif().setdefault(ExifTags.Base.Orientation, self._container.orientation)
        ImageOps.exif_transpose(picture, in_place=True)
        width, height = reversed(self.size) if orientation in _SIDEWAYS_ORIENTATIONS else self.size
        return Picture(picture, scale, width, height)

    def _load(self, data: bytes, scale: int) -> Image.Image:
        """Decode `data`, the container's or an ended version of it. The picture is not turned upright."""
        width, height = self.size
        self._reserve_memory(self.size)
        with self._open(data) as picture:
            if scale > 1:
                picture.draft(None, (width // scale, height // scale))
            picture.load()
            if picture.mode not in _MODES or (picture.mode in {"P", "PA"} and not picture.palette):
                raise UnsupportedPicture
            if self._container.format == "BMP" and picture.mode == "RGBA" and picture.getextrema()[-1] == (0, 0):
                picture.putalpha(255)  # many programs leave the alpha channel empty
            return picture


def _translated(work: Callable[[], _Result]) -> _Result:
    """The result of `work`, which reads a picture file.

    An error is raised anew outside of the handler. Otherwise it would refer to the first error, whose traceback keeps
    the pixels alive.

    Raises:
        UnsupportedPicture: any error but a lack of memory. Damaged data makes Pillow's decoders raise OSError,
            ValueError, struct.error and others.
        MemoryError: too little memory.
    """
    kind: type[Exception]
    try:
        return work()
    except MemoryError:
        kind = MemoryError
    except Exception as error:
        kind = MemoryError if _OUT_OF_MEMORY.search(str(error)) else UnsupportedPicture
    raise kind


def _digest(picture: Image.Image) -> bytes:
    """SHA-256 of the pixels. They are copied in parts, which takes little memory."""
    digest = hashlib.sha256()
    for top in range(0, picture.height, 64):
        digest.update(picture.crop((0, top, picture.width, min(top + 64, picture.height))).tobytes())
    return digest.digest()
