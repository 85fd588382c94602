"""What is known of a picture file before it is decoded."""

from typing import NamedTuple


class Container(NamedTuple):
    """A picture file without its metadata."""

    format: str
    """Pillow's name of the format."""
    data: bytes
    """The file of the same format that has only what the pixels need."""
    orientation: int = 1
    """EXIF orientation, 1 to 8. 1 is upright."""
    canvas: tuple[int, int] | None = None
    """Width and height of a WebP, or of the largest item in a HEIC or AVIF. Decoders reserve memory for them: that of a
    WebP as soon as it is opened, the others whatever size the whole picture is declared to have."""
    one_pass: bool = False
    """Whether this is a JPEG that stores each pixel in one place. Others are held as a whole while they are decoded."""
    ended: bool = True
    """Whether the end marker is there. Only a JPEG may lack it."""
