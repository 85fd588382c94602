"""Sidecars and photos as files: read within limits, replaced as a whole."""

import errno
import os
import stat
from pathlib import Path

from facerec.atomic_write import atomic_write
from facerec.labelling.xmp.errors import (
    XmpChanged,
    XmpError,
    XmpNotAFile,
    XmpNotReadable,
    XmpNotWritable,
    XmpTooLarge,
)

_KINDS: dict[int | None, type[XmpError]] = {
    errno.ELOOP: XmpNotAFile,
    errno.EISDIR: XmpNotAFile,
    errno.ENAMETOOLONG: XmpNotWritable,
}


class File:
    """A file as it was when it was read.

    Attributes:
        path: of the file.
        content: its bytes, or `None` where there is no file.
    """

    def __init__(self, path: Path, *, max_bytes: int, follow_links: bool = False) -> None:
        """Read the file.

        Raises:
            XmpNotAFile: it is a folder or a device, or a link and `follow_links` is not set.
            XmpTooLarge: more than `max_bytes`.
            XmpNotReadable: it can't be read.
            XmpNotWritable: its name is too long.
        """
        self.path = path
        self.content: bytes | None = None
        self._status: os.stat_result | None = None
        flags = os.O_RDONLY | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)  # a pipe must not block
        try:
            with os.fdopen(os.open(path, flags), "rb") as file:
                self._status = status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise XmpNotAFile(path)
                if status.st_size > max_bytes:
                    raise XmpTooLarge(path)
                content = file.read(status.st_size + 1)  # takes memory for as many bytes as it is asked for
                if len(content) > status.st_size:  # the file grows, or its file system doesn't tell the size
                    content += file.read(max_bytes + 1 - len(content))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _KINDS.get(error.errno, XmpNotReadable)(path) from error
        if len(content) > max_bytes:
            raise XmpTooLarge(path)
        self.content = content

    def replace(self, content: bytes) -> None:
        """Write the file anew: as a whole, or not at all. Its mode is kept.

        Raises:
            XmpChanged: another program has changed the file since it was read.
            XmpNotWritable: the folder can't be written, or the disk is full.
        """
        try:
            with atomic_write(self.path, before_renaming=self._check_unchanged) as file:
                if self._status:
                    os.fchmod(file.fileno(), stat.S_IMODE(self._status.st_mode))
                file.write(content)
        except OSError as error:
            raise XmpNotWritable(self.path) from error

    def delete(self) -> None:
        """Delete the file.

        Raises:
            XmpChanged: another program has changed the file since it was read.
            XmpNotWritable: the folder can't be written.
        """
        try:
            self._check_unchanged()
            self.path.unlink()
        except OSError as error:
            raise XmpNotWritable(self.path) from error

    def _check_unchanged(self) -> None:
        try:
            now: os.stat_result | None = self.path.lstat()
        except FileNotFoundError:
            now = None
        if _identity(now) != _identity(self._status):
            raise XmpChanged(self.path)


def _identity(status: os.stat_result | None) -> tuple[int, int, int] | None:
    return (status.st_ino, status.st_size, status.st_mtime_ns) if status else None
