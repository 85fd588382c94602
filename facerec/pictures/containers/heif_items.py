"""The items of a HEIC or AVIF (ISO/IEC 14496-12, 8.11)."""

import math
from collections.abc import Iterator
from functools import cache
from struct import unpack_from

from facerec.pictures.containers.av1 import largest_frame
from facerec.pictures.errors import UnsupportedPicture

MAX_BOXES = 1_000
"""Boxes in a row that are looked at, items among them. libheif reads no more items either."""

_MAX_DESCRIPTION_BYTES = 1 << 17
"""Bytes that describe the items of a picture. One of 200 megapixels has about 800 items of 64 bytes."""
_PIXEL_ITEMS = {b"hvc1": 0, b"av01": 0, b"grid": 1, b"iden": 2}
"""Types of the items that pixels come from: coded pictures, grids of pictures, and pictures turned or cut. Each is made
only from those of a lower number."""
_XMP_TYPE = b"application/rdf+xml"
_MAX_MIME_END = 256
"""Bytes after an item's type in which its name and the media type of its data are looked for."""
_MAX_TILES_FACTOR = 4
"""How many times the pixels of a grid its tiles may have. Those at the right and at the bottom may overhang."""
FREE = b"free"
"""The type of a box that is ignored."""


def boxes(
    data: bytes | bytearray, start: int, end: int, *, most: int = MAX_BOXES
) -> Iterator[tuple[bytes, int, int, int]]:
    """The type of each box between two places, and the places of its start, its content and its end.

    Raises:
        UnsupportedPicture: more than `most`, or one is cut off.
        struct.error: the data ends within a box.
    """
    for _ in range(most):
        if start + 8 > end:
            return
        size, kind = unpack_from(">L4s", data, start)
        content = start + 8
        if size == 1:  # the size follows in 64 bits
            (size,) = unpack_from(">Q", data, content)
            content += 8
        stop = start + size if size else end
        if not content <= stop <= end:
            raise UnsupportedPicture
        yield kind, start, content, stop
        start = stop
    raise UnsupportedPicture


class Items:
    """The items that a box `meta` describes.

    Raises:
        UnsupportedPicture: more items than programs write, two of one number, or items of more bytes than the file.
        struct.error, IndexError: a box ends within a field.
    """

    def __init__(self, data: bytearray, start: int, end: int) -> None:
        """Read the content of the box between two places of `data`, which `free_others` will change."""
        self._data = data
        self._types: list[tuple[int, bytes, int, int]] = []
        """For each item its number, its type, the place of the box that describes it and that of the type."""
        self._extents: dict[int, list[tuple[int, int]]] = {}
        """By an item's number the start and the end of the parts of its data, if they lie outside of the box."""
        self._sizes: dict[int, tuple[int, int]] = {}
        """By a property's number the width and height that it declares."""
        self._properties: dict[int, list[int]] = {}
        """By an item's number the numbers of its properties."""
        self._sources: list[tuple[int, list[int]]] = []
        """The number of each item that is made from others, and theirs."""
        described = 0
        for kind, box, content, stop in boxes(data, start, end):
            described += 0 if kind == b"idat" else stop - box
            if described > _MAX_DESCRIPTION_BYTES:
                raise UnsupportedPicture
            if kind == b"iinf":
                self._read_types(content, stop)
            elif kind == b"iloc":
                self._read_extents(content, stop)
            elif kind == b"iprp":
                self._read_properties(content, stop)
            elif kind == b"iref":
                self._read_sources(content, stop)
        self._check_sources()

    def free_others(self, *, free_boxes: bool) -> None:
        """Turn the items that hold no pixels into free space: the boxes that describe them, or their types."""
        for _, kind, box, place in self._types:
            if kind not in _PIXEL_ITEMS:
                start = box + 4 if free_boxes else place
                self._data[start : start + 4] = FREE

    def largest_size(self) -> tuple[int, int]:
        """Width and height of the largest item, declared or, in AV1, coded.

        Raises:
            UnsupportedPicture: a coded picture in AV1 has no data outside of the box.
        """
        sizes = [(0, 0), *self._sizes.values()]
        for number, kind, _, _ in self._types:
            if kind == b"av01":
                if number not in self._extents:
                    raise UnsupportedPicture
                parts = (self._data[start:end] for start, end in self._extents[number])
                sizes.append(largest_frame(b"".join(parts)))
        return max(sizes, key=math.prod)

    def xmp(self) -> list[bytes]:
        """The data of the items that are XMP."""
        return [
            b"".join(self._data[start:end] for start, end in self._extents.get(number, []))
            for number, kind, _, place in self._types
            if kind == b"mime" and self._data[place + 4 : place + _MAX_MIME_END].split(b"\0")[1:2] == [_XMP_TYPE]
        ]

    def _check_sources(self) -> None:
        """Raises:
        UnsupportedPicture: an item is made from more pixels than it needs, which takes long to decode.
        """
        ranks = {number: _PIXEL_ITEMS[kind] for number, kind, _, _ in self._types if kind in _PIXEL_ITEMS}
        pixels = cache(self._pixels)  # an item may be the source of thousands
        for number, sources in self._sources:
            if number in ranks and (
                sum(map(pixels, sources)) > _MAX_TILES_FACTOR * pixels(number)
                or any(ranks.get(source, len(ranks)) >= ranks[number] for source in sources)
            ):
                raise UnsupportedPicture

    def _pixels(self, number: int) -> int:
        """The pixels that an item declares.

        Raises:
            UnsupportedPicture: it declares no size, or several.
        """
        sizes = [self._sizes[index] for index in self._properties.get(number, []) if index in self._sizes]
        if len(sizes) != 1:
            raise UnsupportedPicture
        return math.prod(sizes[0])

    def _read_properties(self, start: int, end: int) -> None:
        """Read the content of the box `iprp` (ISO/IEC 23008-12, 9.3)."""
        for kind, _, content, stop in boxes(self._data, start, end):
            if kind == b"ipco":
                for index, (name, _, place, _) in enumerate(
                    boxes(self._data, content, stop, most=_MAX_DESCRIPTION_BYTES)
                ):
                    if name == b"ispe":
                        self._sizes[index + 1] = unpack_from(">LL", self._data, place + 4)
            elif kind == b"ipma":
                fields = _Fields(self._data, content, stop)
                version, flags = fields.read(1), fields.read(3)
                for _ in range(fields.read(4)):
                    properties = self._properties.setdefault(fields.read(4 if version else 2), [])
                    for _ in range(fields.read(1)):
                        properties.append(fields.read(2) & 0x7FFF if flags & 1 else fields.read(1) & 0x7F)

    def _read_sources(self, start: int, end: int) -> None:
        """Read the content of the box `iref` (ISO/IEC 14496-12, 8.11.12)."""
        id_bytes = 4 if self._data[start] else 2
        for kind, _, content, stop in boxes(self._data, start + 4, end, most=_MAX_DESCRIPTION_BYTES):
            if kind == b"dimg":
                fields = _Fields(self._data, content, stop)
                number = fields.read(id_bytes)
                self._sources.append((number, [fields.read(id_bytes) for _ in range(fields.read(2))]))

    def _read_types(self, position: int, end: int) -> None:
        """Read the content of the box `iinf`."""
        first = position + (8 if self._data[position] else 6)
        seen = set()
        for _, box, content, stop in boxes(self._data, first, end):
            fields = _Fields(self._data, content, stop)
            version = fields.read(1)
            fields.read(3)
            number = fields.read(2 if version == 2 else 4)
            if number in seen:
                raise UnsupportedPicture
            seen.add(number)
            place = fields.position + 2
            self._types.append((number, bytes(self._data[place : place + 4]), box, place))

    def _read_extents(self, position: int, end: int) -> None:
        """Read the content of the box `iloc`."""
        fields = _Fields(self._data, position, end)
        version = fields.read(1)
        fields.read(3)
        sizes = fields.read(2)
        offset_bytes, length_bytes, base_bytes, index_bytes = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        id_bytes = 4 if version == 2 else 2
        total = 0
        for _ in range(fields.read(id_bytes)):
            number = fields.read(id_bytes)
            method = fields.read(2) if version else 0
            fields.read(2)
            base = fields.read(base_bytes)
            for _ in range(fields.read(2)):
                fields.read(index_bytes if version else 0)
                start = base + fields.read(offset_bytes)
                length = fields.read(length_bytes) or len(self._data)  # 0 stands for the rest of the file
                total += length
                if total > 2 * len(self._data):
                    raise UnsupportedPicture
                if not method:
                    self._extents.setdefault(number, []).append((start, start + length))


class _Fields:
    """Reads numbers one after the other, from a place of `data` to the end of a box."""

    def __init__(self, data: bytearray, position: int, end: int) -> None:
        self._data = data
        self._end = end
        self.position = position

    def read(self, size: int) -> int:
        """The number in the next `size` bytes.

        Raises:
            IndexError: the box ends before.
        """
        self.position += size
        if self.position > self._end:
            raise IndexError
        return int.from_bytes(self._data[self.position - size : self.position])
