"""The people of an archive in the sidecars of its photos."""

import os
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from facerec.labelling.index import path_digest
from facerec.labelling.local_files import from_text
from facerec.labelling.parts import find_parts, rows_by_picture
from facerec.labelling.xmp.areas import Region
from facerec.labelling.xmp.reading import sidecar_of
from facerec.labelling.xmp.writing import label_photo, unlabel_photo

_COLUMNS = ["path", "width", "height", "left", "top", "box_width", "box_height", "identity", "error_code"]


class SidecarChange(StrEnum):
    """What becomes of a photo's sidecar."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    TAKEN_OUT = "taken out"
    """Nobody in the photo is known, and what we wrote is removed."""


class Photo(NamedTuple):
    """A photo and the people in it whom the gallery knows."""

    path: str
    """See `FoundPicture.path`. It is one of this machine."""
    size: tuple[int, int]
    """Width and height of the upright picture in pixels."""
    people: list[Region]

    @classmethod
    def without_people(cls, path: str) -> "Photo":
        """A photo in which nobody is to be named. It may be gone."""
        return cls(path, (0, 0), [])


class PathSet:
    """A set of paths of which 16 bytes each are kept, for millions of them."""

    def __init__(self, paths: Iterable[str]) -> None:
        digests = bytearray()
        for path in paths:
            digests += path_digest(path)
        self._digests = np.unique(np.frombuffer(digests, "S16"))

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, path: str) -> bool:
        digest = np.frombuffer(path_digest(path), "S16")[0]
        place = int(np.searchsorted(self._digests, digest))
        return place < len(self) and bool(self._digests[place] == digest)


def labelled_photos(folder: Path, among: PathSet) -> Iterator[Photo]:
    """The photos of a folder of labels, without those that could not be recognized.

    Args:
        folder: see `LabelFolder`.
        among: paths of photos of this machine. The others of the folder are left out.

    Raises:
        LabelsNotFound: the folder has no labels.
        OutputError: the labels can't be read.
    """
    for rows in rows_by_picture(find_parts(folder), _COLUMNS):
        if rows[0]["path"] in among and (photo := _photo(rows)):
            yield photo


def _photo(rows: list[dict[str, Any]]) -> Photo | None:
    """The photo of its rows, or `None` where they say that it could not be recognized."""
    first = rows[0]
    if first["error_code"] is not None:
        return None
    people = [
        Region(row["identity"], row["left"], row["top"], row["box_width"], row["box_height"])
        for row in rows
        if row["identity"] is not None
    ]
    return Photo(first["path"], (first["width"], first["height"]), people)


def change_sidecar(photo: Photo, *, dry_run: bool) -> SidecarChange | None:
    """Write the people of a photo to its sidecar, or take out what we wrote if there are none.

    Args:
        photo: its file is read only if somebody is to be named.
        dry_run: change nothing.

    Returns:
        What becomes of the sidecar. `None` if nobody is to be named, and we wrote nothing.

    Raises:
        XmpError: the sidecar or the photo can't be read or written, see `label_photo`.
        UnsupportedPicture: the photo is not a picture, or damaged.
    """
    path = Path(from_text(photo.path))
    if not photo.people:
        return SidecarChange.TAKEN_OUT if unlabel_photo(path, dry_run=dry_run) else None
    is_new = not os.path.lexists(sidecar_of(path))  # Path.exists raises for names that are too long
    if not label_photo(path, photo.people, photo.size, dry_run=dry_run):
        return SidecarChange.UNCHANGED
    return SidecarChange.NEW if is_new else SidecarChange.CHANGED
