"""The header of a Windows bitmap (Microsoft, BITMAPV5HEADER)."""

from struct import unpack_from

from facerec.pictures.containers.container import Container
from facerec.pictures.errors import UnsupportedPicture

_UNCOMPRESSED, _BIT_FIELDS = 0, 3
_CORE_HEADER_BYTES = 12
"""Length of the one header that has no field for the compression."""


def read(data: bytes) -> Container | None:
    """A bitmap, or `None` if `data` is none.

    Run-length compression is rare, and takes seconds to decode in Pillow.

    Raises:
        UnsupportedPicture: the pixels are compressed.
        struct.error: the file ends within the header.
    """
    if not data.startswith(b"BM"):
        return None
    if unpack_from("<L", data, 14)[0] > _CORE_HEADER_BYTES and unpack_from("<L", data, 30)[0] not in {
        _UNCOMPRESSED,
        _BIT_FIELDS,
    }:
        raise UnsupportedPicture
    return Container("BMP", data)
