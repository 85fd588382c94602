"""The chunks of a WebP (RFC 9649)."""

from collections.abc import Iterator
from struct import pack, unpack_from

from facerec.pictures.containers.container import Container
from facerec.pictures.containers.exif import read_orientation
from facerec.pictures.errors import UnsupportedPicture

_MAX_CHUNKS = 1_000
"""Chunks that are looked at: all of a still picture, and the first pictures of an animation."""
_HEADERS = frozenset({b"VP8X", b"ANIM", b"ALPH"})
_PICTURES = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
_METADATA_FLAGS = 0x20 | 0x08 | 0x04
"""Flags of the header that announce a colour profile, EXIF and XMP."""


def read(data: bytes) -> Container | None:
    """The first picture of a WebP, or `None` if `data` is none.

    Raises:
        UnsupportedPicture: no picture.
        struct.error, IndexError: the file ends within a header.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kept: dict[bytes, bytes] = {}
    canvas: tuple[int, int] | None = None
    orientation = 0
    for kind, chunk in _chunks(data):
        if kind == b"EXIF" and not orientation:
            orientation = read_orientation(bytes(chunk[8:]))
        elif not canvas and kind in _HEADERS:
            kept.setdefault(kind, bytes(chunk))
        elif not canvas and kind in _PICTURES:
            header = kept.get(b"VP8X")
            canvas = _frame_size(kind, chunk) if header is None else _canvas_size(header)
            kept[kind] = bytes(chunk)
    if not canvas:
        raise UnsupportedPicture
    if header := kept.get(b"VP8X"):
        kept[b"VP8X"] = header[:8] + bytes([header[8] & ~_METADATA_FLAGS]) + header[9:]
    body = b"WEBP" + b"".join(kept.values())
    return Container("WEBP", b"RIFF" + pack("<L", len(body)) + body, orientation or 1, canvas=canvas)


def read_xmp(data: bytes) -> list[bytes]:
    """The XMP packet of a WebP (RFC 9649, 2.7.1.5). Empty where there is none."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        for kind, chunk in _chunks(data):
            if kind == b"XMP ":
                return [bytes(chunk[8 : 8 + unpack_from("<L", chunk, 4)[0]])]
    return []


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The type of each chunk, and the chunk with its header and padding."""
    view, position = memoryview(data), 12
    for _ in range(_MAX_CHUNKS):
        if position + 8 > len(data):
            return
        kind, length = unpack_from("<4sL", data, position)
        end = position + 8 + length + length % 2
        yield kind, view[position:end]
        position = end


def _canvas_size(header: bytes) -> tuple[int, int]:
    """Width and height in a chunk `VP8X`."""
    width, height = (int.from_bytes(header[start : start + 3], "little") + 1 for start in (12, 15))
    return width, height


def _frame_size(kind: bytes, chunk: memoryview) -> tuple[int, int]:
    """Width and height in a chunk `VP8 ` (RFC 6386, 9.1) or `VP8L`."""
    if kind == b"VP8L":
        (bits,) = unpack_from("<L", chunk, 9)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = unpack_from("<HH", chunk, 14)
    return width & 0x3FFF, height & 0x3FFF
