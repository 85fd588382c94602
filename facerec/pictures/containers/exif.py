"""The orientation in EXIF metadata."""

import struct

_ORIENTATION, _SHORT = 0x0112, 3
_MAX_ENTRIES = 1_000
"""Tags of a directory that are looked at. Cameras write about thirty."""


def read_orientation(exif: bytes) -> int:
    r"""The orientation 1 to 8 in EXIF metadata, or 1 where there is none that can be used.

    Args:
        exif: a TIFF header and its directories, with or without `Exif\0\0` before it (CIPA DC-008, 4.5 and 4.6.5).
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}L", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for position in range(start + 2, start + 2 + 12 * min(count, _MAX_ENTRIES), 12):
            tag, kind, values, value = struct.unpack_from(f"{order}HHLH", exif, position)
            if tag == _ORIENTATION:
                return value if (kind, values) == (_SHORT, 1) and 1 <= value <= 8 else 1
    except struct.error:  # the metadata ends within the directory
        pass
    return 1
