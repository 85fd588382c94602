"""Pictures in storages that fsspec knows by their addresses, such as s3:// and gs://: search and read them.

Credentials and endpoints are those of the storage's own configuration, such as the variables AWS_ACCESS_KEY_ID and
AWS_ENDPOINT_URL. Source: https://filesystem-spec.readthedocs.io
"""

import calendar
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from facerec.labelling.errors import (
    AddressNotSupported,
    PathError,
    PathNotFound,
    PictureGone,
    PictureUnreadable,
    StorageFailed,
)
from facerec.labelling.found import FoundPicture, ReadPicture, Report, is_picture_name
from facerec.labelling.patterns import PathPattern
from facerec.pictures.errors import PictureTooLarge
from facerec.pictures.hidden import is_hidden

_MODIFIED_KEYS = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")
"""Where the listings of storages have the time of the last change."""


class _Storage(NamedTuple):
    """The storage of an address."""

    files: AbstractFileSystem
    path: str
    """Of the address, in the storage's own form."""
    suffix: str
    """What follows the path in a chained address: `::s3://bucket/archive.zip` of `zip://*.jpg::s3://...`."""

    def found(self, info: Mapping[str, Any]) -> FoundPicture:
        """The picture of an entry in a listing."""
        address = self.files.unstrip_protocol(info["name"]) + self.suffix
        return FoundPicture(address, info.get("size"), _nanoseconds(info))


def find_stored(address: str, report: Report) -> Iterator[FoundPicture]:
    """The pictures of a storage's folder, of a pattern, or a single one, as `find_local` finds those of this machine.

    An address without wildcards is tried as it is first, so that a key may hold their characters.
    """
    try:
        storage = _open(address)
        try:
            info = storage.files.info(storage.path)
        except FileNotFoundError:
            pattern = PathPattern(storage.path, literal=False)
            if pattern.root == storage.path:
                raise
        else:
            if info["type"] == "file":
                yield storage.found(info)
                return
            pattern = PathPattern(storage.path, literal=True)
    except PathError as error:
        report(address, error)
        return
    except Exception as error:  # each storage has its own exceptions, which no common class unites
        if isinstance(error, FileNotFoundError) and is_picture_name(address):
            yield FoundPicture(address, None, None)  # whoever reads it finds that it is not there
        else:
            report(address, PathNotFound() if isinstance(error, FileNotFoundError) else StorageFailed.because(error))
        return
    found = False
    for picture in _search(storage, pattern, report):
        found = True
        yield picture
    if not found and pattern.root != storage.path:
        report(address, PathNotFound())


def _open(address: str) -> _Storage:
    try:
        files, path = url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise AddressNotSupported.because(error) from None
    return _Storage(files, path, "".join(address.partition("::")[1:]))


def _search(storage: _Storage, pattern: PathPattern, report: Report) -> Iterator[FoundPicture]:
    folders = [pattern.root]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(storage.files.ls(folder, detail=True), key=lambda info: str(info["name"]))
            storage.files.invalidate_cache(folder)  # it would keep the listings of the whole archive
        except Exception as error:  # as above
            report(storage.files.unstrip_protocol(folder) + storage.suffix, StorageFailed.because(error))
            continue
        inner = []
        for info in entries:
            path = info["name"].rstrip("/")
            name = path.rpartition("/")[2]
            if is_hidden(name) or path == folder.rstrip("/"):  # the second stands for an empty folder
                continue
            if info["type"] == "directory":
                if pattern.enters(path):
                    inner.append(path)
            elif is_picture_name(name) and pattern.accepts(path):
                yield storage.found(info)
        folders += reversed(inner)


def read_stored(picture: FoundPicture, max_bytes: int) -> ReadPicture:
    """The content of a file.

    Raises:
        PictureGone, PictureUnreadable: it can't be read.
        PictureTooLarge: it has more than `max_bytes` bytes, as its folder lists it.
    """
    if (picture.bytes or 0) > max_bytes:
        raise PictureTooLarge.over(max_bytes)
    try:
        storage = _open(picture.path)
        data = storage.files.cat_file(storage.path)
    except FileNotFoundError:
        raise PictureGone from None
    except Exception as error:  # as above
        raise PictureUnreadable.because(error) from None
    return ReadPicture(picture._replace(bytes=len(data)), data)


def _nanoseconds(info: Mapping[str, Any]) -> int | None:
    value = next((info[key] for key in _MODIFIED_KEYS if info.get(key)), None)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return calendar.timegm(moment.utctimetuple()) * 10**9 + moment.microsecond * 1000
    return round(value * 10**9) if isinstance(value, int | float) else None
