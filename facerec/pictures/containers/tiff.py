"""The first directory of a TIFF (Adobe, TIFF Revision 6.0)."""

from struct import pack, unpack_from

from facerec.pictures.containers.container import Container
from facerec.pictures.errors import UnsupportedPicture

_MAX_ENTRIES = 1_000
"""Tags of a directory. Programs write a few dozen."""
_MAX_VALUES = 1 << 16
"""Values of a tag that the pixels need: at most one strip for each row."""
_MAX_TILE_SIDE = 4_096
"""Pixels. The decoder reserves the memory of a tile, whatever the size of the picture. Most tiles have 256."""
_COMPRESSION, _ORIENTATION, _TILE_WIDTH, _TILE_LENGTH = 259, 274, 322, 323
_COMPRESSIONS = frozenset({1, 5, 7, 8, 32_773, 32_946})
"""None, LZW, JPEG, Deflate, PackBits, and the older number of Deflate."""
_PIXEL_TAGS = frozenset(
    {256, 257, 258, _COMPRESSION, 262, 266, 273, 277, 278, 279, 284, 317, 320}
    | {_TILE_WIDTH, _TILE_LENGTH, 324, 325, 338, 339, 347, 530, 531, 532}
)
"""Sizes, sample formats, photometric interpretation, predictor, palette, strips, tiles and JPEG tables."""
_XMP = 700
_SHORT, _LONG = 3, 4
_BYTES = frozenset({1, 7})
"""The types of values of one byte."""


def read(data: bytes) -> Container | None:
    """The first page of a TIFF, or `None` if `data` is none.

    The pixels stay where they are, as their places are counted from the start of the file. A new directory behind them,
    which has only the tags that they need, takes the place of the first.

    Raises:
        UnsupportedPicture: more tags or values, or larger tiles than programs write, or another compression.
        struct.error: the file ends within the directory.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    (start,) = unpack_from(f"{order}L", data, 4)
    (count,) = unpack_from(f"{order}H", data, start)
    if count > _MAX_ENTRIES:
        raise UnsupportedPicture
    entries: dict[int, bytes] = {}
    numbers = {_COMPRESSION: 1, _ORIENTATION: 1, _TILE_WIDTH: 0, _TILE_LENGTH: 0}
    for position in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = unpack_from(f"{order}HHL", data, position)
        if tag in numbers and kind in {_SHORT, _LONG}:
            (numbers[tag],) = unpack_from(f"{order}{'H' if kind == _SHORT else 'L'}", data, position + 8)
        if tag in _PIXEL_TAGS:
            if values > _MAX_VALUES:
                raise UnsupportedPicture
            entries[tag] = data[position : position + 12]
    if numbers[_COMPRESSION] not in _COMPRESSIONS or max(numbers[_TILE_WIDTH], numbers[_TILE_LENGTH]) > _MAX_TILE_SIDE:
        raise UnsupportedPicture
    directory = pack(f"{order}H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    padding = bytes(len(data) % 2)
    header = data[:4] + pack(f"{order}L", len(data) + len(padding))
    orientation = numbers[_ORIENTATION]
    return Container("TIFF", header + data[8:] + padding + directory, orientation if 1 <= orientation <= 8 else 1)


def read_xmp(data: bytes) -> list[bytes]:
    """The XMP packet of a TIFF (Adobe, XMP Specification Part 3, 1.1.4). Empty where there is none.

    Raises:
        struct.error: the file ends within the directory.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return []
    (directory,) = unpack_from(f"{order}L", data, 4)
    (count,) = unpack_from(f"{order}H", data, directory)
    for position in range(directory + 2, directory + 2 + 12 * min(count, _MAX_ENTRIES), 12):
        tag, kind, length, start = unpack_from(f"{order}HHLL", data, position)
        if tag == _XMP and kind in _BYTES:
            return [data[start : start + length]]
    return []
