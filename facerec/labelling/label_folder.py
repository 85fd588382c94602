"""A folder of labels: Parquet parts that a run adds to, and goes on with after it was stopped.

Any reader of Parquet reads the folder as one table. All that a later run must know is in the parts themselves:

- A part is written under another name and renamed, so it is whole or absent.
- A picture that is done again is in a new part first. Then its old rows are removed from theirs. If a run is stopped
  between the two, the next one sees the picture in two parts and removes those of the older.
- Each part says with which people its faces were matched. Where these are not the people of today, its stored
  embeddings are matched anew, and no picture is read. Where that would take out people because their gallery isn't
  there, it is an error instead: a wrong path or a disk that is not mounted is no reason to forget them.
"""

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from facerec.labelling.errors import OutputError, OutputOfOtherGallery, output_errors
from facerec.labelling.index import INDEX_COLUMNS, PictureIndex, without
from facerec.labelling.matching import Match, Matcher
from facerec.labelling.part_file import Origin, read_origin, read_part, write_part
from facerec.labelling.parts import lock_folder, part_numbers, part_path

PART_ROWS = 10_000
PART_SECONDS = 30.0
"""A part is written with the first batch that reaches one of these. What is not written yet is lost if the run is
killed."""


class LabelFolder:
    """The labels in a folder. One process at a time writes to it.

    Args:
        folder: is made if it isn't there.
        schema: of the rows.
        origin: what makes new rows.
        matcher: matches the faces of earlier runs anew where the people have changed.
        part_rows: rows of a part.
        part_seconds: seconds after which a smaller part is written.

    Attributes:
        index: the pictures that are done.
        renamed: how many faces of earlier runs belong to each person only now, or by `None` to nobody any more.

    Raises:
        OutputError: the folder can't be written, holds something else, or labels that these can't be added to.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        origin: Origin,
        matcher: Matcher,
        *,
        part_rows: int = PART_ROWS,
        part_seconds: float = PART_SECONDS,
    ) -> None:
        self._folder = folder
        self._schema = schema
        self._origin = origin
        self._part_rows = part_rows
        self._part_seconds = part_seconds
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_since = time.monotonic()
        self.index = PictureIndex()
        self.renamed: Counter[str | None] = Counter()
        with output_errors():
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(folder)
        try:
            self._open_parts(matcher)
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Write what is left, unless the folder could not be written to."""
        try:
            if not isinstance(error, OutputError):
                self._write_waiting()
                self._remove_superseded()
        finally:
            os.close(self._lock)

    def write(self, batch: pa.RecordBatch) -> None:
        """Keep the rows of pictures. All rows of a picture are in the same batch.

        Raises:
            OutputError: they can't be written.
        """
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting.append(batch)
        rows = sum(len(each) for each in self._waiting)
        if rows >= self._part_rows or time.monotonic() - self._waiting_since >= self._part_seconds:
            self._write_waiting()

    def _open_parts(self, matcher: Matcher) -> None:
        """Take in the parts that are there, remove old rows and match faces anew."""
        numbers = part_numbers(self._folder)
        self._next = max(numbers, default=0) + 1
        origins = {number: read_origin(self._path(number)) for number in numbers}
        for origin in origins.values():
            self._origin.check(origin)
        for number in numbers:
            self.index.add(number, read_part(self._path(number), INDEX_COLUMNS))
        self._remove_superseded()
        for number, origin in origins.items():
            path = self._path(number)
            if origin.people != self._origin.people and path.exists():
                before = read_part(path)
                after = match_anew(before, matcher)
                write_part(path, after, self._origin)
                identities = zip(before["identity"].to_pylist(), after["identity"].to_pylist(), strict=True)
                self.renamed.update(identity for earlier, identity in identities if identity != earlier)

    def _path(self, number: int) -> Path:
        return part_path(self._folder, number)

    def _write_waiting(self) -> None:
        if self._waiting:
            rows = pa.Table.from_batches(self._waiting, self._schema)
            write_part(self._path(self._next), rows, self._origin)
            self.index.add(self._next, rows.select(INDEX_COLUMNS))
            self._next += 1
            self._waiting = []

    def _remove_superseded(self) -> None:
        """Remove the rows of pictures that were done again from their older parts."""
        for number, digests in self.index.build().items():
            path = self._path(number)
            origin = read_origin(path)
            rows = without(read_part(path), digests)
            if len(rows):
                write_part(path, rows, origin)
            else:
                with output_errors():
                    path.unlink()


def match_anew(rows: pa.Table, matcher: Matcher) -> pa.Table:
    """The rows with the people of today. A face that belongs to somebody is in no group.

    Raises:
        OutputOfOtherGallery: people who were enrolled are named, and there is no gallery.
    """
    if not matcher.has_gallery and rows["person_id"].null_count < len(rows):
        raise OutputOfOtherGallery
    faces = np.flatnonzero(rows["embedding"].is_valid())
    if len(faces) == 0:
        return rows
    vectors = rows["embedding"].take(faces).combine_chunks().flatten().to_numpy().reshape(len(faces), -1)
    columns: dict[str, list[Any]] = {name: [None] * len(rows) for name in Match._fields}
    for row, match in zip(faces, matcher.match(vectors), strict=True):
        for name, value in match._asdict().items():
            columns[name][row] = value
    groups = zip(columns["identity"], rows["group"].to_pylist(), strict=True)
    columns["group"] = [group if identity is None else None for identity, group in groups]
    for name, values in columns.items():
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, pa.array(values, field.type))
    return rows
