"""Turn stored rows of labels back into faces and results, so that code for freshly recognized pictures can use them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from facerec.inference.cropping import Face
from facerec.inference.results import PictureResult
from facerec.labelling.errors import GroupNotFound
from facerec.labelling.part_file import read_part
from facerec.labelling.parts import find_parts

FACE_COLUMNS = ["path", "sha256", "left", "top", "box_width", "box_height", "angle", "score"]
"""What `stored_face` and those who show a face need."""

_RESULT_COLUMNS = [*FACE_COLUMNS, "width", "height", "landmarks", "sharpness", "embedding"]


class GroupFace(NamedTuple):
    """A face of a group."""

    path: str
    """See `FoundPicture.path`."""
    result: PictureResult
    """As if the picture showed nobody else."""


def stored_face(row: Mapping[str, Any]) -> Face:
    """The place of a row's face. If it reaches beyond the picture, it is that of the part inside."""
    left, top, width, height = (row[name] for name in ("left", "top", "box_width", "box_height"))
    angle = math.radians(row["angle"])
    return Face(left + width / 2, top + height / 2, max(width, height), angle, row["score"])


def read_group(folder: Path, group: str) -> list[GroupFace]:
    """The faces of a group, the oldest labels first. No picture is read.

    Args:
        folder: of labels.
        group: its name, such as `g12`.

    Raises:
        LabelsNotFound: the folder has no labels.
        GroupNotFound: no face belongs to the group.
        OutputError: the labels can't be read.
    """
    faces = []
    for path in find_parts(folder):
        chosen = pc.equal(read_part(path, ["group"])["group"], group)
        if pc.any(chosen).as_py():
            faces += [_group_face(row) for row in read_part(path, _RESULT_COLUMNS).filter(chosen).to_pylist()]
    if not faces:
        raise GroupNotFound
    return faces


def _group_face(row: Mapping[str, Any]) -> GroupFace:
    points = row["landmarks"]
    result = PictureResult(
        embeddings=np.array([row["embedding"]], np.float32),
        faces=[stored_face(row)],
        landmarks=[None if points is None else np.array(points).reshape(-1, 2)],
        sharpness=[row["sharpness"]],
        sha256=row["sha256"],
        width=row["width"],
        height=row["height"],
    )
    return GroupFace(row["path"], result)
