"""Pictures of an archive, before and after they are read."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple

from facerec.labelling.errors import PathError
from facerec.pictures.decode import PICTURE_SUFFIXES

Report = Callable[[str, PathError], None]
"""Is told of each path that can't be searched, and why."""


class FoundPicture(NamedTuple):
    """A picture of the archive, as its folder lists it."""

    path: str
    """Absolute path, `file://` URI, storage address or URL. It finds the picture again from anywhere."""
    bytes: int | None
    """Size of the file. `None` where the storage doesn't tell."""
    modified: int | None
    """When it was changed last, in nanoseconds since 1970. `None` where the storage doesn't tell."""


class ReadPicture(NamedTuple):
    """A picture that was read."""

    picture: FoundPicture
    """With the size and time of what was read."""
    data: bytes


def is_picture_name(path: str) -> bool:
    """Whether a file's name has the suffix of a picture."""
    return PurePosixPath(path).suffix.lower() in PICTURE_SUFFIXES
