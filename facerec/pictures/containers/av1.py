"""The size of the pictures in an AV1 stream (AV1 Bitstream & Decoding Process Specification, 5.3 to 5.5)."""

import math

from facerec.pictures.errors import UnsupportedPicture

_MAX_UNITS = 1_000
"""Units of a stream. A still picture has a few, and one more for each part that is coded apart."""
_MAX_HEADER_BYTES = 256
"""Bytes of a sequence header that are looked at. The sizes stand at its start."""
_SEQUENCE_HEADER = 1


def largest_frame(stream: bytes) -> tuple[int, int]:
    """Width and height of the largest frame that the headers of `stream` permit, 0 where there is no header.

    The decoder reserves memory for it, whatever size the container declares.

    Raises:
        UnsupportedPicture: more units than a picture has, or fields that only films have.
        IndexError: the stream ends within a header.
    """
    sizes, position = [(0, 0)], 0
    for _ in range(_MAX_UNITS):
        if position >= len(stream):
            return max(sizes, key=math.prod)
        header = stream[position]
        position += 2 if header & 4 else 1
        length = len(stream) - position
        if header & 2:
            length, position = _leb128(stream, position)
        if header >> 3 & 15 == _SEQUENCE_HEADER:
            sizes.append(_frame_size(stream[position : position + min(length, _MAX_HEADER_BYTES)]))
        position += length
    raise UnsupportedPicture


def _leb128(stream: bytes, position: int) -> tuple[int, int]:
    """The number at `position`, seven bits a byte, and the position after it."""
    value = 0
    for place in range(8):
        byte = stream[position + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, position + place + 1
    raise UnsupportedPicture


class _Bits:
    """Reads numbers of some bits from bytes."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def read(self, bits: int) -> int:
        self._left -= bits
        if self._left < 0:
            raise UnsupportedPicture
        return self._value >> self._left & ((1 << bits) - 1)


def _frame_size(header: bytes) -> tuple[int, int]:
    """Width and height in a sequence header."""
    bits = _Bits(header)
    bits.read(4)  # profile, and whether it is a still picture
    if bits.read(1):  # a header reduced to what still pictures need
        bits.read(5)
    else:
        if bits.read(1):  # timing
            raise UnsupportedPicture
        has_delays = bits.read(1)
        for _ in range(bits.read(5) + 1):  # operating points
            bits.read(12)
            if bits.read(5) > 7:
                bits.read(1)
            if has_delays and bits.read(1):
                bits.read(4)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return bits.read(width_bits) + 1, bits.read(height_bits) + 1
