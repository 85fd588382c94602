"""Pictures in folders of this machine: search and read them."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from facerec.labelling.errors import (
    FolderUnreadable,
    LinkCircle,
    PathNotFound,
    PictureChanged,
    PictureGone,
    PictureUnreadable,
)
from facerec.labelling.found import FoundPicture, ReadPicture, Report, is_picture_name
from facerec.labelling.patterns import PathPattern
from facerec.pictures.errors import PictureTooLarge
from facerec.pictures.hidden import is_hidden

_FILE_SCHEME = "file://"


def to_text(path: str) -> str:
    """A path as rows have it: as it is, or as a `file://` URI (RFC 8089) if its name is not UTF-8.

    The URI has the name's bytes as percent-escapes, so that the file can be found again.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return Path(path).as_uri()
    return path


def is_file_uri(text: str) -> bool:
    """Whether a path is a `file://` URI."""
    return text.startswith(_FILE_SCHEME)


def is_local(text: str) -> bool:
    """Whether a path is one of this machine, and not an address of a storage or a URL."""
    return "://" not in text or is_file_uri(text)


def from_text(text: str) -> str:
    """The path that `to_text` was given."""
    return os.fsdecode(unquote_to_bytes(text[len(_FILE_SCHEME) :])) if is_file_uri(text) else text


def find_local(path: str, report: Report, *, beside: str = "") -> Iterator[FoundPicture]:
    """The pictures of a folder, of a pattern, or a single one.

    Folders are searched by name, with all folders in them. Links are followed; a folder that several links lead to is
    searched once. Hidden files and folders are passed over, and files without the suffix of a picture.

    Args:
        path: may be relative.
        report: is told of each path that can't be searched.
        beside: find the files that have the name of a picture and this at its end, in place of the pictures, which may
            be gone.
    """
    path = os.path.abspath(path)  # noqa: PTH100 - Path has no counterpart that keeps links and bytes as they are
    if os.path.isdir(path):  # noqa: PTH112
        yield from _Search(PathPattern(path, literal=True), report, beside).pictures()
        return
    path = path.removesuffix(beside)
    if os.path.lexists(path + beside):
        yield _file(path + beside)
    elif (pattern := PathPattern(path, literal=False)).root != path:
        found = False
        for picture in _Search(pattern, report, beside).pictures():
            found = True
            yield picture
        if not found:
            report(to_text(path), PathNotFound())
    elif is_picture_name(path):
        yield _file(path + beside)  # whoever reads it finds that it is not there
    else:
        report(to_text(path), PathNotFound())


def _file(path: str) -> FoundPicture:
    """A file that may be gone."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return FoundPicture(to_text(path), None, None)
    return FoundPicture(to_text(path), status.st_size, status.st_mtime_ns)


class _Folder(NamedTuple):
    """A folder that is being searched."""

    path: str
    id: tuple[int, int]
    """Device and inode, which are the same whichever link leads there."""
    names: Iterator[str]


class _Search:
    """The search of one folder and all folders in it."""

    def __init__(self, pattern: PathPattern, report: Report, beside: str) -> None:
        self._pattern = pattern
        self._report = report
        self._beside = beside
        self._visited: set[tuple[int, int]] = set()
        self._unreadable: set[str] = set()
        self._open: list[_Folder] = []
        """The folder that is being searched, and those that it lies in."""

    def pictures(self) -> Iterator[FoundPicture]:
        """The pictures in the order of their names."""
        try:
            self._enter(self._pattern.root, os.stat(self._pattern.root))  # noqa: PTH116
        except OSError:
            return  # a pattern below a folder that isn't there matches nothing
        while self._open:
            folder = self._open[-1]
            name = next(folder.names, None)
            if name is None:
                self._open.pop()
            elif not is_hidden(name):
                path = os.path.join(folder.path, name)  # noqa: PTH118
                yield from self._look(path, wanted=self._is_wanted(path))

    def _is_wanted(self, path: str) -> bool:
        picture = path.removesuffix(self._beside)
        return path.endswith(self._beside) and is_picture_name(picture) and self._pattern.accepts(picture)

    def _look(self, path: str, *, wanted: bool) -> Iterator[FoundPicture]:
        """The picture at a path. A folder is searched next."""
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError as error:
            if error.errno == errno.ELOOP:
                self._report(to_text(path), LinkCircle())
            elif wanted:
                yield FoundPicture(to_text(path), None, None)  # whoever reads it finds out why
            elif error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                self._report_unreadable(path, error)
            return
        if stat.S_ISDIR(status.st_mode):
            if self._pattern.enters(path):
                self._enter(path, status)
        elif wanted and stat.S_ISREG(status.st_mode):
            yield FoundPicture(to_text(path), status.st_size, status.st_mtime_ns)

    def _report_unreadable(self, path: str, error: OSError) -> None:
        """Report what may be a folder, such as one of a dead mount. One that may not be entered is reported once."""
        folder = os.path.dirname(path)  # noqa: PTH120
        if error.errno == errno.EACCES and not os.access(folder, os.X_OK):
            path = folder
        if path not in self._unreadable:
            self._unreadable.add(path)
            self._report(to_text(path), FolderUnreadable.because(error.strerror))

    def _enter(self, path: str, status: os.stat_result) -> None:
        id_ = (status.st_dev, status.st_ino)
        if any(folder.id == id_ for folder in self._open):
            self._report(to_text(path), LinkCircle())
        elif id_ not in self._visited:
            self._visited.add(id_)
            try:
                names = sorted(os.listdir(path))  # noqa: PTH208
            except OSError as error:
                self._report(to_text(path), FolderUnreadable.because(error.strerror))
            else:
                self._open.append(_Folder(path, id_, iter(names)))


def read_local(text: str, max_bytes: int) -> ReadPicture:
    """The content of a file, and its size and time as they were while it was read.

    Raises:
        PictureGone, PictureUnreadable, PictureChanged: it can't be read, or not as a whole.
        PictureTooLarge: it has more than `max_bytes` bytes.
    """
    try:
        # Opening a named pipe would wait for somebody who writes to it.
        with open(from_text(text), "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise PictureUnreadable
            if before.st_size > max_bytes:
                raise PictureTooLarge.over(max_bytes)
            data = file.read(before.st_size + 1)
            after = os.fstat(file.fileno())
    except (FileNotFoundError, NotADirectoryError):
        raise PictureGone from None
    except OSError as error:
        raise PictureUnreadable.because(error.strerror) from None
    if (len(data), after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise PictureChanged
    return ReadPicture(FoundPicture(text, len(data), after.st_mtime_ns), data)
