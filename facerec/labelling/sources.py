"""The pictures of an archive, wherever they are."""

import os
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote_from_bytes

from facerec.labelling.errors import AddressNotSupported
from facerec.labelling.found import FoundPicture, Report
from facerec.labelling.index import path_digest
from facerec.labelling.local_files import find_local, from_text, is_local
from facerec.labelling.storage import find_stored
from facerec.labelling.xmp.reading import SIDECAR_SUFFIX

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""One path or several: folders, patterns, files, storage addresses and URLs."""


def is_url(path: str) -> bool:
    """Whether a path is an http(s) URL, which names one picture."""
    return path.lower().startswith(("http://", "https://"))


def find_pictures(paths: Paths, report: Report) -> Iterator[FoundPicture]:
    """The pictures that paths name, each once, in the order of the paths.

    | path | pictures |
    |---|---|
    | folder, also of a storage | all files in it and its folders that have the suffix of a picture |
    | pattern with `*`, `?`, `[...]`, `**` | the same of what it matches |
    | file, also of a storage, or URL | itself, whatever its name |

    Args:
        paths: local ones may be relative. Those of rows are taken as well.
        report: is told of each path that can't be searched. The others are searched all the same.
    """
    return _each_once(paths, lambda path: _find(path, report))


def find_sidecars(paths: Paths, report: Report) -> Iterator[str]:
    """The pictures of this machine that paths name and that have a sidecar, each once. Pictures may be gone.

    Args:
        paths: as for `find_pictures`. Sidecars are taken as well.
        report: as for `find_pictures`.
    """
    found = _each_once(paths, lambda path: _find_sidecars(path, report))
    return (sidecar.path.removesuffix(SIDECAR_SUFFIX) for sidecar in found)


def _each_once(paths: Paths, find: Callable[[str], Iterator[FoundPicture]]) -> Iterator[FoundPicture]:
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if isinstance(paths, Sequence) and len(paths) == 1:  # no picture is found twice
        yield from find(os.fspath(paths[0]))
        return
    seen: set[bytes] = set()
    for path in paths:
        for picture in find(os.fspath(path)):
            digest = path_digest(picture.path)
            if digest not in seen:
                seen.add(digest)
                yield picture


def _find_sidecars(path: str, report: Report) -> Iterator[FoundPicture]:
    if is_local(path):
        yield from find_local(from_text(path), report, beside=SIDECAR_SUFFIX)
    else:
        report(path, AddressNotSupported("Sidecars are beside pictures of this machine alone: give their folder."))


def _find(path: str, report: Report) -> Iterator[FoundPicture]:
    if is_url(path):
        yield FoundPicture(_encodable(path), None, None)
    elif is_local(path):
        yield from find_local(from_text(path), report)
    else:
        yield from find_stored(_encodable(path), report)


def _encodable(address: str) -> str:
    """An address with percent-escapes of the bytes that are not UTF-8, if it has such."""
    try:
        address.encode()
    except UnicodeEncodeError:
        return quote_from_bytes(os.fsencode(address), safe=string.punctuation)
    return address


def read_list(file: Path) -> Iterator[str]:
    """The paths in a text file, one a line. Empty lines are passed over.

    Raises:
        OSError: the file can't be read.
    """
    with file.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        for line in lines:
            if path := line.removesuffix("\n").removesuffix("\r"):
                yield path
