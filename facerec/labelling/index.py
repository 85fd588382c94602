"""Which pictures are in a folder of labels: a few bytes for each, for millions of them."""

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facerec.labelling.found import FoundPicture
from facerec.pictures.errors import PictureTooLarge, TooManyPixels, UnsupportedPicture

INDEX_COLUMNS = ["path", "bytes", "modified", "face", "error_code"]
"""What is read of a part."""

_ENTRY = np.dtype(
    [
        ("digest", np.uint64, 2),  # see `path_digest`
        ("part", np.int32),  # number of the part
        ("bytes", np.int64),
        ("modified", np.int64),
        ("final", np.bool_),  # whether reading the same file again would give the same rows
    ]
)

_FINAL_CODES = {None, UnsupportedPicture.code, PictureTooLarge.code, TooManyPixels.code}
"""The error codes of pictures whose content is the reason, and that of no error."""

_UNKNOWN = np.iinfo(np.int64).min
"""Stands for a size or time that is not known."""


def path_digest(path: str) -> bytes:
    """16 bytes that stand for a path in sets of millions."""
    return hashlib.blake2b(path.encode(), digest_size=16).digest()


class PictureIndex:
    """The pictures of all parts. It takes about 50 bytes for each.

    If a picture is in several parts, that of the highest number counts.
    """

    def __init__(self) -> None:
        self._entries = np.zeros(0, _ENTRY)
        self._first = self._entries["digest"][:, 0]
        self._added: list[NDArray[np.void]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, part: int, rows: pa.Table) -> None:
        """Take in the pictures of a part, for the next `build`.

        Args:
            part: number of the part.
            rows: with `INDEX_COLUMNS`.
        """
        rows = rows.filter(pa.array([face in {None, 0} for face in rows["face"].to_pylist()], pa.bool_()))
        entries = np.zeros(len(rows), _ENTRY)
        digests = b"".join(path_digest(path) for path in rows["path"].to_pylist())
        entries["digest"] = np.frombuffer(digests, np.uint64).reshape(-1, 2)
        entries["part"] = part
        for name in ("bytes", "modified"):
            entries[name] = rows[name].fill_null(_UNKNOWN).to_numpy()
        entries["final"] = [code in _FINAL_CODES for code in rows["error_code"].to_pylist()]
        self._added.append(entries)

    def build(self) -> dict[int, set[bytes]]:
        """Make the index of all that was added.

        Returns:
            Digests of the pictures, by part, whose rows were superseded by those of a later part.
        """
        if not self._added:
            return {}
        entries = np.concatenate([self._entries, *self._added])
        self._entries, self._added = entries[:0], []  # frees what was copied
        entries = entries[np.lexsort((entries["part"], entries["digest"][:, 1], entries["digest"][:, 0]))]
        superseded = np.zeros(len(entries), np.bool_)
        superseded[:-1] = (entries["digest"][1:] == entries["digest"][:-1]).all(axis=1)
        self._entries = entries[~superseded] if superseded.any() else entries
        self._first = self._entries["digest"][:, 0].copy()
        parts: dict[int, set[bytes]] = {}
        for entry in entries[superseded]:
            parts.setdefault(int(entry["part"]), set()).add(entry["digest"].tobytes())
        return parts

    def is_done(self, picture: FoundPicture) -> bool:
        """Whether there are rows of the picture, it has not changed since, and they can't be expected to change.

        A picture with an error is not done, unless its content is the reason. A URL is done once it was read: what it
        leads to is not asked for again.
        """
        row = self._find(path_digest(picture.path))
        if row is None:
            return False
        entry = self._entries[row]
        modified = _UNKNOWN if picture.modified is None else picture.modified
        same = picture.bytes is None or (entry["bytes"], entry["modified"]) == (picture.bytes, modified)
        return bool(same and entry["final"])

    def _find(self, digest: bytes) -> int | None:
        first, second = np.frombuffer(digest, np.uint64)
        row = int(np.searchsorted(self._first, first))
        while row < len(self._first) and self._first[row] == first:
            if self._entries["digest"][row, 1] == second:
                return row
            row += 1
        return None


def without(rows: pa.Table, digests: set[bytes]) -> pa.Table:
    """The rows of all pictures but those with these digests."""
    return rows.filter(pa.array([path_digest(path) not in digests for path in rows["path"].to_pylist()], pa.bool_()))
