"""Give unknown faces that are the same person one group, in a folder of labels.

How alike two faces must be follows from the model's file and the number of faces: so alike that half of the faces of
strangers would have no pair by chance. On LFW's background people and strangers this was near the best for 800, 2,500
and 7,500 faces (pairwise F1 0.97, 0.88 and 0.86, precision about 0.95); see `benchmarks.grouping`.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from facerec.inference.model_file import RecognizerMetadata
from facerec.labelling.clustering import average_linkage, similar_pairs
from facerec.labelling.part_file import finished_file, read_origin, read_part, write_part
from facerec.labelling.parts import find_parts, lock_folder
from facerec.people.errors import SampleRefused
from facerec.people.quality import measure

CHANCE_PAIR_RATE = 0.5
"""Fraction of the faces of strangers that may be as alike as the threshold to one of the others. A higher rate finds
more faces of each person and mixes more people."""

_COLUMNS = ["sha256", "landmarks", "sharpness", "embedding", "identity", "group"]
_LAST_GROUP = ".last-group"
"""File with the highest number that a group ever had. It is not given again: a page that was printed earlier would
name somebody else."""
_GROUP = re.compile(r"g([1-9]\d{0,17})")


class Grouping(NamedTuple):
    """What grouping has found."""

    unknown: int
    """Faces that belong to nobody who is known."""
    usable: int
    """Those that are good enough to be enrolled. Blurred and turned faces of different people are alike."""
    grouped: int
    """Faces in a group."""
    groups: int


class _Faces(NamedTuple):
    """The N usable faces of all parts."""

    parts: NDArray[np.int64]
    """`[N]`, index of the part."""
    rows: NDArray[np.int64]
    """`[N]`, row of the part."""
    pictures: NDArray[np.int64]
    """`[N]`, a number for each picture. Copies of a file are the same picture: a face is no evidence for itself."""
    groups: NDArray[np.int64]
    """`[N]`, number of the group that an earlier run gave, 0 for none."""
    vectors: NDArray[np.float32]
    """`[N, D]`."""
    unknown: int
    """Faces that belong to nobody, usable or not."""


def group_unknown_faces(
    folder: Path,
    metadata: RecognizerMetadata,
    *,
    on_progress: Callable[[int, int], object] = lambda compared, faces: None,  # noqa: ARG005
) -> Grouping:
    """Write the group of each face into the labels: `g1`, `g2` and so on, at first by size. The others' is null.

    A group has two faces or more. One that grew keeps its name, one that was divided gives it to the larger part, and
    of two that became one it is the larger one's. Where nothing has changed no file is written. A run that was killed
    is made good by the next.

    Memory holds 4 D bytes for each unknown face, and some hundred bytes more. The time grows with the square of their
    number.

    Args:
        folder: of labels that no process writes to.
        metadata: of the recognizer that made them.
        on_progress: is told how many faces of how many were compared with all others.

    Raises:
        LabelsNotFound: the folder has no labels.
        OutputError: they can't be read or written.
    """
    paths = find_parts(folder)
    lock = lock_folder(folder)
    try:
        faces = _read_faces(paths)
        count = len(faces.rows)
        compared = 0

        def add(more: int) -> None:
            nonlocal compared
            compared += more
            on_progress(compared, count)

        threshold = group_threshold(metadata, count)
        pairs = similar_pairs(faces.vectors, threshold, faces.pictures, add)
        clusters = average_linkage(faces.vectors, pairs, threshold)
        last = _read_last(folder, faces.groups)
        groups = name_groups(clusters, faces.groups, last)
        if len(groups) and groups.max() > last:
            with finished_file(folder / _LAST_GROUP) as file:
                file.write(b"%d" % groups.max())
        _write_groups(paths, faces, groups)
    finally:
        os.close(lock)
    return Grouping(faces.unknown, count, int(np.count_nonzero(groups)), len(np.unique(groups[groups > 0])))


def group_threshold(metadata: RecognizerMetadata, faces: int) -> float:
    """The mean similarity from which two clusters are one person, see `CHANCE_PAIR_RATE`.

    Args:
        metadata: of the recognizer. Older files don't tell how often strangers are alike: then it is their threshold.
        faces: number of faces that are compared.
    """
    if not metadata.false_matches or not faces:
        return metadata.threshold
    return metadata.false_matches.threshold({1: faces}, false_accept_rate=CHANCE_PAIR_RATE)


def name_groups(clusters: NDArray[np.int64], earlier: NDArray[np.int64], last: int) -> NDArray[np.int64]:
    """The number of each face's group, int64 `[N]`, 0 for none.

    Args:
        clusters: `[N]`, the cluster of each face.
        earlier: `[N]`, the number that the face's group has had, 0 for none.
        last: the highest number that was ever given.
    """
    numbers, sizes = np.unique(clusters, return_counts=True)
    groups = {int(number): 0 for number in numbers[sizes > 1]}
    common = np.column_stack([clusters, earlier])[earlier > 0]
    (kept, names), shared = _counted(common)
    taken: set[int] = set()
    for row in np.lexsort((kept, names, -shared)):
        cluster, name = int(kept[row]), int(names[row])
        if groups.get(cluster) == 0 and name not in taken:
            groups[cluster] = name
            taken.add(name)
    for row in np.lexsort((numbers, -sizes)):
        if groups.get(int(numbers[row])) == 0:
            last += 1
            groups[int(numbers[row])] = last
    return np.array([groups.get(cluster, 0) for cluster in clusters.tolist()], np.int64)


def _counted(pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct rows of `[N, 2]` as two columns, and how often each is there."""
    distinct, counts = np.unique(pairs, axis=0, return_counts=True)
    return distinct.T, counts


def _read_faces(paths: list[Path]) -> _Faces:
    """The usable faces of all parts."""
    total = sum(pq.read_metadata(path).num_rows for path in paths)
    size = pq.read_schema(paths[0]).field("embedding").type.list_size
    vectors = np.empty((total, size), np.float32)  # takes memory once it is written to
    columns: list[list[NDArray[np.int64]]] = [[], [], [], []]
    unknown = count = 0
    known_pictures: dict[str, int] = {}
    for index, path in enumerate(paths):
        table = read_part(path, _COLUMNS)
        nobody = pc.and_(table["embedding"].is_valid(), table["identity"].is_null()).to_numpy()
        unknown += int(np.count_nonzero(nobody))
        rows = np.flatnonzero(nobody)
        rows = rows[_usable(table.take(rows))]
        chosen = table.take(rows)
        vectors[count : count + len(rows)] = chosen["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, size)
        count += len(rows)
        groups = np.array([_group_number(text) for text in chosen["group"].to_pylist()], np.int64)
        files = chosen["sha256"].to_pylist()
        pictures = np.array([known_pictures.setdefault(file, len(known_pictures)) for file in files], np.int64)
        for column, values in zip(columns, (np.full(len(rows), index), rows, pictures, groups), strict=True):
            column.append(values)
    parts, places, pictures, groups = map(np.concatenate, columns)
    return _Faces(parts, places, pictures, groups, vectors[:count], unknown)


def _usable(faces: pa.Table) -> NDArray[np.bool_]:
    """Which faces are good enough to be enrolled."""
    usable = np.zeros(len(faces), np.bool_)
    for row, (points, sharpness) in enumerate(
        zip(faces["landmarks"].to_pylist(), faces["sharpness"].to_pylist(), strict=True)
    ):
        try:
            measure(None if points is None else np.array(points).reshape(-1, 2), sharpness).check()
        except SampleRefused:
            continue
        usable[row] = True
    return usable


def _group_number(text: str | None) -> int:
    match = _GROUP.fullmatch(text or "")
    return int(match[1]) if match else 0


def _read_last(folder: Path, groups: NDArray[np.int64]) -> int:
    """The highest number that a group has ever had."""
    try:
        stored = int((folder / _LAST_GROUP).read_bytes())
    except (OSError, ValueError):
        stored = 0
    return max(stored, int(groups.max(initial=0)))


def _write_groups(paths: list[Path], faces: _Faces, groups: NDArray[np.int64]) -> None:
    """Write the parts anew whose groups have changed."""
    for index, path in enumerate(paths):
        earlier = read_part(path, ["group"])["group"].to_pylist()
        start, stop = np.searchsorted(faces.parts, (index, index + 1))
        names: list[str | None] = [None] * len(earlier)
        for row, number in zip(faces.rows[start:stop].tolist(), groups[start:stop].tolist(), strict=True):
            names[row] = f"g{number}" if number else None
        if names != earlier:
            table = read_part(path)
            column = table.schema.get_field_index("group")
            table = table.set_column(column, table.schema.field(column), pa.array(names, pa.string()))
            write_part(path, table, read_origin(path))
