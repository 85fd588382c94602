"""Files that are either complete or absent: written under a temporary name, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give the block a temporary path to write to. It becomes `path` afterwards, or is deleted if the block fails.

    Missing folders are created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())  # after a power cut the new name must not belong to an empty file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
