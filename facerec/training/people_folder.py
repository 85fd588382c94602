"""Search a folder of people for their pictures, and say what is left out."""

import os
import stat
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from facerec.pictures.decode import PICTURE_SUFFIXES
from facerec.pictures.hidden import is_hidden
from facerec.training.errors import DataError
from facerec.training.safe_text import printable

MAX_DEPTH = 32
"""Most folders inside one another that are searched or extracted. Nobody sorts pictures that deep."""

COPY_OF = "a copy of "
"""Begins the reason for which a copy is skipped. The path of the other picture follows."""

_OTHER_KIND = "not a picture by its suffix: "
"""Begins the reason for which a file of another kind is skipped. Its suffix follows."""


class PeopleFolder(NamedTuple):
    """The pictures of a folder of people."""

    pictures: list[Path]
    """Sorted. A picture belongs to the person whose folder it is in, however deep below it."""
    skipped: dict[str, str]
    """Why a file or a folder is left out, by path: all that somebody may have meant as a picture."""


def people_root(folder: Path) -> Path:
    """The folder that holds the people's folders: `folder`, or one inside it, as archives often add outer folders.

    Raises:
        DataError: a folder can't be read.
    """
    for _ in range(MAX_DEPTH):
        subfolders = _subfolders(folder)
        if len(subfolders) != 1 or not _subfolders(subfolders[0]):
            break
        folder = subfolders[0]
    return folder


def search_people(root: Path) -> PeopleFolder:
    """The pictures `root/NAME/**/FILE`, told by their suffixes.

    Hidden files and folders are passed over. Links are followed, but each folder is searched once.

    Raises:
        DataError: a folder can't be read.
    """
    pictures: list[Path] = []
    skipped: dict[str, str] = {}
    searched = {_identity(root.stat())}
    folders = deque([root])
    while folders:
        for path in _visible(folders.popleft()):
            try:
                status = path.stat()
            except OSError:
                skipped[relative_path(path, root)] = "a link to nowhere"
                continue
            is_folder = stat.S_ISDIR(status.st_mode)
            if is_folder and _identity(status) in searched:
                reason: str | None = "a link to a folder that is searched already"
            else:
                reason = _why_skipped(path.relative_to(root), status.st_mode)
            if reason:
                skipped[relative_path(path, root)] = reason
            elif is_folder:
                searched.add(_identity(status))
                folders.append(path)
            elif _is_picture(path):
                pictures.append(path)
    return PeopleFolder(sorted(pictures), dict(sorted(skipped.items())))


def _why_skipped(path: Path, mode: int) -> str | None:
    """Why a file or folder is skipped, if its path below the root or its kind says so."""
    if stat.S_ISDIR(mode):
        return f"more than {MAX_DEPTH} folders deep" if len(path.parts) > MAX_DEPTH else None
    if len(path.parts) == 1:  # other files beside the people's folders are no pictures of anyone
        return "in no person's folder" if _is_picture(path) else None
    if not _is_picture(path):
        return f"{_OTHER_KIND}{printable(path.suffix.lower()) or 'none'}"
    return None if stat.S_ISREG(mode) else "no file, but a pipe, a socket or a device"


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def relative_path(picture: Path, root: Path) -> str:
    """A picture's path `NAME/FILE` below `root`, in printable characters."""
    return printable(picture.relative_to(root).as_posix())


def summarize_skipped(skipped: Mapping[str, str]) -> str:
    """How many files are skipped, and of which kinds, in words."""
    suffixes: Counter[str] = Counter()
    copies = 0
    examples: dict[str, str] = {}
    others: Counter[str] = Counter()
    for path, reason in skipped.items():
        if reason.startswith(_OTHER_KIND):
            suffixes[reason.removeprefix(_OTHER_KIND)] += 1
        elif reason.startswith(COPY_OF):
            copies += 1
        else:
            others[reason] += 1
            examples.setdefault(reason, path)
    listed = ", ".join(f"{suffix} {count:,}" for suffix, count in suffixes.most_common())
    parts = [f"{suffixes.total():,} of other kinds ({listed})"] if suffixes else []
    parts += [f"{copies:,} equal to another picture"] if copies else []
    parts += [f"{count:,} such as {examples[reason]} ({reason.rstrip('.')})" for reason, count in others.most_common()]
    return "; ".join(parts) or "none"


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> Iterator[Path]:
    """What a folder holds, sorted, folders and files before links, so that a folder is found where it really is.

    Raises:
        DataError: it can't be read.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.is_symlink(), entry.name) for entry in entries)
    except OSError as error:
        raise DataError(
            f"can't read the folder {folder}: {error.strerror}. Make it readable, or take it out."
        ) from error
    return (folder / name for _, name in found if not is_hidden(name))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
