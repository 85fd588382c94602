"""Read the containers of picture files: what they hold, and the same file without its metadata.

Decoders parse metadata in ways that cost time and memory out of all proportion, or fail where a program wrote it oddly.
So each format's module walks the container itself, in time that grows with the file's bytes at most, and keeps what the
pixels need. Colour profiles, texts, thumbnails, further pictures and films never reach a decoder.
"""

from facerec.pictures.containers import bmp, gif, heif, jpeg, png, tiff, webp
from facerec.pictures.containers.container import Container
from facerec.pictures.errors import UnsupportedPicture

_XMP_READERS = (jpeg.read_xmp, png.read_xmp, webp.read_xmp, tiff.read_xmp, heif.read_xmp)
_READERS = (jpeg.read, png.read, webp.read, gif.read, bmp.read, tiff.read, heif.read)
"""Read the formats that are decoded. Every further format would only add attack surface."""


def read_container(data: bytes) -> Container:
    """Recognize the format by the bytes alone, and leave out the metadata. No pixel is decoded.

    Raises:
        UnsupportedPicture: another format, or more parts than programs write.
        struct.error, IndexError, KeyError, ValueError: the file is damaged.
    """
    for read in _READERS:
        if container := read(data):
            return container
    raise UnsupportedPicture


def read_xmp(data: bytes) -> list[bytes]:
    """The XMP packets in a picture file: none, one, or in a JPEG a main part and its extension. They are not parsed.

    Raises:
        UnsupportedPicture: more parts than programs write.
        struct.error, IndexError: the file is damaged.
    """
    return next((packets for read in _XMP_READERS if (packets := read(data))), [])
