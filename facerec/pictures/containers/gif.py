"""The blocks of a GIF (CompuServe, Graphics Interchange Format, version 89a)."""

from facerec.pictures.containers.container import Container
from facerec.pictures.errors import UnsupportedPicture

_MAX_BLOCKS = 1_000
"""Extensions before the first picture. Programs write a few."""
_MIN_BYTES_PER_SUB_BLOCK = 32
"""Mean of the bytes of the file for each sub-block. Programs fill all but the last with 255 bytes, or nearly so."""
_EXTENSION, _PICTURE = 0x21, 0x2C
_GRAPHIC_CONTROL = b"\x21\xf9"
"""The start of the extension that says which colour is transparent."""
_HEADER_BYTES, _DESCRIPTOR_BYTES = 13, 10
_END = b"\0;"


def read(data: bytes) -> Container | None:
    """The first picture of a GIF, or `None` if `data` is none.

    Raises:
        UnsupportedPicture: more blocks than programs write, or no picture.
        IndexError: the file ends before the picture.
    """
    if not data.startswith((b"GIF87a", b"GIF89a")):
        return None
    position = _HEADER_BYTES + _palette_bytes(data[10])
    kept = [data[:position]]
    sub_blocks = _MAX_BLOCKS + len(data) // _MIN_BYTES_PER_SUB_BLOCK
    for _ in range(_MAX_BLOCKS):
        block = data[position]
        start = position
        position += 1
        if block == _PICTURE:
            position = start + _DESCRIPTOR_BYTES + _palette_bytes(data[start + 9]) + 1
            position, _ = _skip_sub_blocks(data, position, sub_blocks)
            return Container("GIF", b"".join([*kept, data[start:position], _END]))
        if block == _EXTENSION:
            position, sub_blocks = _skip_sub_blocks(data, start + 2, sub_blocks)
            if data.startswith(_GRAPHIC_CONTROL, start):
                kept[1:] = [data[start:position]]
    raise UnsupportedPicture


def _palette_bytes(flags: int) -> int:
    """Bytes of the palette that the flags of a screen or a picture announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(data: bytes, position: int, most: int) -> tuple[int, int]:
    """The position after the sub-blocks at `position`, or the end of the file, and how many of `most` remain.

    Raises:
        UnsupportedPicture: more than `most`.
    """
    while most > 0:
        if position >= len(data):
            return len(data), most
        size = data[position]
        position += 1 + size
        if not size:
            return position, most
        most -= 1
    raise UnsupportedPicture
