"""The pictures of an archive, wherever they are."""

import os
import string
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote_from_bytes

from facerec.labelling.found import FoundPicture, Report
from facerec.labelling.index import path_digest
from facerec.labelling.local_files import find_local, from_text, is_file_uri
from facerec.labelling.storage import find_stored

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
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if isinstance(paths, Sequence) and len(paths) == 1:  # no picture is found twice
        yield from _find(os.fspath(paths[0]), report)
        return
    seen: set[bytes] = set()
    for path in paths:
        for picture in _find(os.fspath(path), report):
            digest = path_digest(picture.path)
            if digest not in seen:
                seen.add(digest)
                yield picture


def _find(path: str, report: Report) -> Iterator[FoundPicture]:
    if is_url(path):
        yield FoundPicture(_encodable(path), None, None)
    elif "://" in path and not is_file_uri(path):
        yield from find_stored(_encodable(path), report)
    else:
        yield from find_local(from_text(path), report)


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
