"""The segments of a JPEG (ITU-T T.81, annex B)."""

import re
from collections.abc import Iterator
from struct import unpack_from
from typing import NamedTuple

from facerec.pictures.containers.container import Container
from facerec.pictures.containers.exif import read_orientation
from facerec.pictures.errors import UnsupportedPicture

END = b"\xff\xd9"
"""The marker that ends a JPEG."""

_MAX_SEGMENTS = 2_000
"""Segments of a JPEG, its scans included. A large colour profile takes 255, a depth map about a hundred."""
_MAX_SCANS = 64
"""A progressive JPEG has about ten scans. Each costs milliseconds for a megapixel, and a file can hold thousands
(libjpeg-turbo, "Two Issues with the JPEG Standard")."""
_MAX_TABLE_BYTES = 1 << 16
"""Bytes of all tables and frames together. A picture's take about one kilobyte, and Pillow parses them slowly."""

_FILL_FLOOD = b"\xff" * 1_000
"""Fill bytes before a segment are valid in any number, but none are usual. So many end the picture."""
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
"""A marker that starts a segment or the picture, or ends the picture. The data of a scan never contains one."""
_XMP, _XMP_EXTENSION = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_SOI, _EOI, _SOS, _APP0, _APP1, _APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})
"""DHT, DAC, DQT and DRI."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - _TABLES - {0xC8}
"""SOF0 to SOF15."""
_PIXELS = _TABLES | _FRAMES | {_SOS, _EOI}
_PROGRESSIVE_FRAMES = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_COLOURS = {_APP0: b"JFIF\0", _APP14: b"Adobe"}
"""The segments that tell how colours are stored: JFIF's and Adobe's (ITU-T T.872, 6.5.3)."""


class _Segment(NamedTuple):
    """A segment of a JPEG."""

    marker: int
    content: bytes
    """Without the marker and the length."""
    whole: memoryview
    """With the marker, the length and, after a scan's header, the scan's data."""


def read(data: bytes) -> Container | None:
    """The first picture of a JPEG, or `None` if `data` is none.

    Kept are the frame, the tables, the scans and the notes on colours. Pictures and films after the end marker are left
    out.

    Raises:
        UnsupportedPicture: more segments, scans or tables than programs write, or scans are missing.
        struct.error, IndexError, KeyError, ValueError: the file or a segment ends within a field, or a scan has a
            component that the frame lacks.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    data = data.partition(_FILL_FLOOD)[0]
    kept, orientation, ended = [memoryview(data)[:2]], 0, False
    progress, colours = _Progress(), dict(_COLOURS)
    for marker, content, whole in _segments(data):
        progress.add(marker, content)
        if marker == _APP1 and not orientation and content.startswith(b"Exif\0\0"):
            orientation = read_orientation(content)
        elif marker in _PIXELS:
            kept.append(whole)
            ended = marker == _EOI
        elif marker in colours and content.startswith(colours[marker]):
            kept.append(whole)
            del colours[marker]
    if not progress.scans or not (ended or progress.complete):
        raise UnsupportedPicture
    essential = b"".join(kept)
    if not ended:
        essential = essential.rstrip(b"\xff")  # the first half of a marker
    return Container("JPEG", essential, orientation or 1, one_pass=progress.one_pass, ended=ended)


def read_xmp(data: bytes) -> list[bytes]:
    """The XMP packet of a JPEG and its extension (Adobe, XMP Specification Part 3, 1.1.3). Empty where there is none.

    A packet of more than 64 KB is divided. The main part names the digest of its extension, whose parts are in further
    segments, in any order.

    Raises:
        UnsupportedPicture: more segments than programs write, or one reaches beyond the end of the file.
        struct.error: the file ends within a segment's length, or a segment within its fields.
    """
    packets: list[bytes] = []
    extensions: dict[tuple[bytes, int], dict[int, bytes]] = {}
    if data.startswith(b"\xff\xd8\xff"):
        for marker, content, _ in _segments(data.partition(_FILL_FLOOD)[0]):
            if marker == _SOS:
                break
            if marker == _APP1 and content.startswith(_XMP) and not packets:
                packets.append(content.removeprefix(_XMP))
            elif marker == _APP1 and content.startswith(_XMP_EXTENSION):
                digest, length, start = unpack_from(">32sLL", content, len(_XMP_EXTENSION))
                extensions.setdefault((digest, length), {})[start] = content[len(_XMP_EXTENSION) + 40 :]
    for (digest, length), parts in extensions.items():
        whole = b"".join(parts[start] for start in sorted(parts))
        if packets and digest in packets[0] and len(whole) == length:
            packets.append(whole)
    return packets


class _Progress:
    """What the segments of a JPEG have stored so far."""

    def __init__(self) -> None:
        self.scans = 0
        self.one_pass = False
        """Whether the first scan stores everything."""
        self._table_bytes = 0
        self._progressive = False
        self._missing: dict[int, int] = {}
        """By the component's number: the coefficients that no scan has stored to the last bit, as bits 0 to 63."""

    @property
    def complete(self) -> bool:
        """Whether all coefficients are stored, as far as the headers of the scans tell."""
        return not any(self._missing.values())

    def add(self, marker: int, content: bytes) -> None:
        """Take note of a segment.

        Raises:
            UnsupportedPicture: more scans or tables than programs write.
            IndexError, KeyError, ValueError: the segment ends within its fields, or has an unknown component.
        """
        if marker in _TABLES or marker in _FRAMES:
            self._table_bytes += len(content)
        if marker in _FRAMES:
            self._progressive = marker in _PROGRESSIVE_FRAMES
            self._missing = dict.fromkeys(content[6 : 6 + 3 * content[5] : 3], (1 << 64) - 1)
        elif marker == _SOS:
            self._add_scan(content)
        if self._table_bytes > _MAX_TABLE_BYTES or self.scans > _MAX_SCANS:
            raise UnsupportedPicture

    def _add_scan(self, header: bytes) -> None:
        """Count a scan by its header (T.81, B.2.3)."""
        end = 1 + 2 * header[0]
        first, last, bits = header[end : end + 3] if self._progressive else (0, 63, 0)
        if bits & 15 == 0:  # the lowest bit of these coefficients is stored
            for component in header[1:end:2]:
                self._missing[component] &= ~((1 << last + 1) - (1 << first))
        self.scans += 1
        if self.scans == 1:
            self.one_pass = self.complete


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments up to the end marker, or to the end of the file.

    Fill bytes before a segment and bytes that belong to none are passed over.

    Raises:
        UnsupportedPicture: more segments than programs write, or one reaches beyond the end of the file.
        struct.error: the file ends within a segment's length.
    """
    view, position = memoryview(data), 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, position)
        if not found:
            return
        start, position, marker = found.start(), found.end(), found[1][0]
        if marker == _EOI:
            yield _Segment(marker, b"", view[start:position])
            return
        if marker == _SOI:
            continue
        content = position + 2
        position += unpack_from(">H", data, position)[0]
        if not content <= position <= len(data):
            raise UnsupportedPicture
        end = position
        if marker == _SOS:
            after = _MARKER.search(data, position)
            position = after.start() if after else len(data)
        yield _Segment(marker, data[content:end], view[start:position])
    raise UnsupportedPicture
