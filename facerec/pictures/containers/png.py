"""The chunks of a PNG (W3C, Portable Network Graphics, third edition)."""

import itertools
from collections.abc import Iterator
from struct import unpack_from

from facerec.pictures.containers.container import Container
from facerec.pictures.containers.exif import read_orientation
from facerec.pictures.errors import UnsupportedPicture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_OTHER_CHUNKS = 1_000
"""Chunks that hold no pixels. Programs write a few dozen."""
_MIN_BYTES_PER_DATA_CHUNK = 1_024
"""Mean of the bytes of the file for each chunk of pixels. libpng writes chunks of 8,192 bytes, others of 4,096."""
_XMP = b"XML:com.adobe.xmp\0\0\0"
"""The keyword of a text that is XMP, with the two fields for a text that is not compressed."""
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"


def read(data: bytes) -> Container | None:
    """The first picture of a PNG, or `None` if `data` is none.

    Kept are the header, the palette, its transparency and the pixels, up to the end or the second picture.

    Raises:
        UnsupportedPicture: more chunks than programs write, or no pixels.
    """
    if not data.startswith(_SIGNATURE):
        return None
    view = memoryview(data)
    head: dict[bytes, memoryview] = {}
    pixels: list[memoryview] = []
    orientation = others = 0
    for kind, start, end in _chunks(data):
        if kind == b"IDAT":
            pixels.append(view[start:end])
            if len(pixels) > _MAX_OTHER_CHUNKS + len(data) // _MIN_BYTES_PER_DATA_CHUNK:
                raise UnsupportedPicture
            continue
        others += 1
        if others > _MAX_OTHER_CHUNKS and not pixels:
            raise UnsupportedPicture
        if others > _MAX_OTHER_CHUNKS:  # frames of an animation
            break
        if kind in {b"IHDR", b"PLTE", b"tRNS"} and not pixels:
            head.setdefault(kind, view[start:end])
        elif kind == b"eXIf" and not orientation:
            orientation = read_orientation(data[start + 8 : end - 4])
    if not pixels:
        raise UnsupportedPicture
    return Container("PNG", b"".join([_SIGNATURE, *head.values(), *pixels, _END]), orientation or 1)


def read_xmp(data: bytes) -> list[bytes]:
    """The XMP packet of a PNG (Adobe, XMP Specification Part 3, 1.1.5). Empty where there is none."""
    if data.startswith(_SIGNATURE):
        most = _MAX_OTHER_CHUNKS + len(data) // _MIN_BYTES_PER_DATA_CHUNK
        for kind, start, end in itertools.islice(_chunks(data), most):
            if kind == b"iTXt" and data.startswith(_XMP, start + 8):
                text = data[start + 8 + len(_XMP) : end - 4]
                return [text.split(b"\0", 2)[-1]]  # after the language and the translated keyword
    return []


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The type, the start and the end of each chunk, up to the end of the picture or a chunk that the file cuts off."""
    position = len(_SIGNATURE)
    while position + 8 <= len(data):
        length, kind = unpack_from(">L4s", data, position)
        end = position + length + 12
        yield kind, position, min(end, len(data))
        position = end
        if kind == b"IEND":
            return
