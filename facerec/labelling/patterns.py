"""Which files below a folder are meant: all of them, or those that a pattern matches."""

import glob
import re

from fsspec.utils import glob_translate


class PathPattern:
    """A path that may hold the wildcards of a shell: `*`, `?`, `[...]`, and `**` for any folders.

    What it matches are files, and folders with all that is in them.

    Args:
        path: absolute, or as a storage has it, with slashes. Without wildcards it is a folder, meant as a whole.
        literal: take wildcards in the path as the characters that they are.

    Attributes:
        root: the folder in which everything lies that the pattern can match.
    """

    def __init__(self, path: str, *, literal: bool) -> None:
        parts = path.split("/")
        fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
        self.root = path if literal else "/".join(parts[:fixed]) or path[: path.startswith("/")]
        self._levels: list[re.Pattern[str]] = []
        self._file: re.Pattern[str] | None = None
        if not literal and fixed < len(parts):
            levels = parts[fixed:]
            until = levels.index("**") if "**" in levels else len(levels)
            self._levels = [re.compile(glob_translate(level)) for level in levels[:until]]
            whole = glob_translate(path)
            self._file = re.compile(f"{whole}|{glob_translate(path.rstrip('/') + '/**/*')}")

    def accepts(self, path: str) -> bool:
        """Whether a file below the root is meant."""
        return self._file is None or self._file.match(path) is not None

    def enters(self, folder: str) -> bool:
        """Whether a folder below the root can hold a file that is meant."""
        parts = folder[len(self.root) :].strip("/").split("/")
        return all(level.match(part) for level, part in zip(self._levels, parts, strict=False))
