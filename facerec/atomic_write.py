"""Files that are either complete or absent: written under another name, then renamed."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".unfinished-"
"""Prefix of the temporary name of a file that is being written. A killed process leaves it behind: delete it."""


@contextmanager
def atomic_write(
    path: Path, *, mode: int = 0o666, before_renaming: Callable[[], object] = lambda: None
) -> Iterator[BinaryIO]:
    """Give the block a file to write to. It becomes `path` once the block has ended and its content is on the disk.

    If the block fails, `path` is left as it was. Two processes may write to the same path: the last one counts. The
    temporary name leaves out that of `path`, which may have 255 bytes already.

    Args:
        path: of the file, in a folder that exists.
        mode: its permissions, of which the umask takes some away.
        before_renaming: is called at the last moment. If it raises, `path` is left as it was.

    Raises:
        OSError: the file can't be written, for example because the disk is full.
    """
    unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
    file = os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb")
    try:
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        before_renaming()
        unfinished.replace(path)
        with suppress(OSError):  # the file is in place, and only a power cut could undo that
            sync_folder(path.parent)
    finally:
        with suppress(OSError):  # closing writes what could not be written, and fails again
            file.close()
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Let the names of a folder's files be on the disk, so that a power cut doesn't undo a renaming (fsync(2)).

    Raises:
        OSError: it can't be done.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
