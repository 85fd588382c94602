"""The files of a folder of labels: its parts, and the lock of the process that writes them."""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from facerec.labelling.errors import LabelsNotFound, OutputInUse, OutputNotLabels, OutputOfOtherVersion, output_errors
from facerec.labelling.part_file import FORMAT_VERSION, read_origin, read_part, remove_unfinished

_LOCK = ".lock"
_PART = re.compile(r"part-(\d{6,})\.parquet")


def lock_folder(folder: Path) -> int:
    """Make sure that no other process writes to a folder, and remove what processes left that were killed.

    Returns:
        A file descriptor. Close it when nothing more is written.

    Raises:
        OutputInUse: another process writes to it.
        OutputError: it can't be written.
    """
    with output_errors():
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with output_errors():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputInUse from None
            remove_unfinished(folder)
    except BaseException:
        os.close(lock)
        raise
    return lock


def part_numbers(folder: Path) -> list[int]:
    """The numbers of the parts in a folder, rising.

    Raises:
        OutputNotLabels: the folder holds other files.
    """
    numbers = []
    for path in folder.iterdir():
        if match := _PART.fullmatch(path.name):
            numbers.append(int(match[1]))
        elif path.suffix == ".parquet" and not path.name.startswith("."):
            raise OutputNotLabels.because(path)
    return sorted(numbers)


def part_path(folder: Path, number: int) -> Path:
    """The file of a part."""
    return folder / f"part-{number:06}.parquet"


def find_parts(folder: Path) -> list[Path]:
    """The parts of a folder that has labels, the oldest first.

    Raises:
        LabelsNotFound: there are none.
        OutputError: the folder holds other files, or a part is damaged or of another version.
    """
    try:
        paths = [part_path(folder, number) for number in part_numbers(folder)]
    except OSError as error:
        raise LabelsNotFound.because(error) from None
    if not paths:
        raise LabelsNotFound
    for path in paths:
        if read_origin(path).format_version != FORMAT_VERSION:
            raise OutputOfOtherVersion
    return paths


def rows_by_picture(parts: Iterable[Path], columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    """The rows of each picture. They follow one another in one part.

    Args:
        parts: their files.
        columns: the columns that are read. One is `path`.

    Raises:
        OutputError: a part can't be read.
    """
    for part in parts:
        batches = read_part(part, columns).to_batches(max_chunksize=1000)
        rows = (row for batch in batches for row in batch.to_pylist())
        for _, picture in groupby(rows, itemgetter("path")):
            yield list(picture)
