"""Labels in one file or stream: Parquet, CSV or JSON lines. A run that is stopped can't be continued there."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from facerec.labelling.errors import OutputExists, output_errors
from facerec.labelling.part_file import Origin, finished_file
from facerec.labelling.rows import to_batch

Write = Callable[[pa.RecordBatch], None]
"""Writes rows. Raises an OutputError if they can't be written."""

ROW_GROUP_ROWS = 10_000
"""Rows of a row group of Parquet, at least. Each has its own entry in the file's end, which every reader reads."""

CSV_LEFT_OUT = "embedding"
"""The column that CSV files don't have: hundreds of numbers for each face."""


@contextmanager
def single_file(path: Path, schema: pa.Schema, origin: Origin) -> Iterator[Write]:
    """What writes rows to a file, which has its name once the block has ended. If the block fails there is none.

    Args:
        path: ends in one of `FILE_FORMATS`.
        schema: of the rows.
        origin: what makes them, for the metadata of Parquet.

    Raises:
        OutputExists: there is such a file.
        OutputError: it can't be written.
    """

    def refuse_to_replace() -> None:
        if os.path.lexists(path):
            raise OutputExists

    refuse_to_replace()
    with output_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
    with finished_file(path, before_renaming=refuse_to_replace) as file:
        with output_errors():
            writer = FILE_FORMATS[path.suffix.lower()](file, schema, origin)

        def write(batch: pa.RecordBatch) -> None:
            with output_errors():
                writer.write_batch(batch)

        try:
            yield write
        except BaseException:
            with suppress(OSError):  # nobody will read the file
                writer.close()
            raise
        with output_errors():
            writer.close()


class Writer(Protocol):
    """Writes rows to a file. Both methods raise OSErrors."""

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Write rows."""

    def close(self) -> None:
        """Write what belongs at the end."""


class _Parquet:
    def __init__(self, file: BinaryIO, schema: pa.Schema, origin: Origin) -> None:
        self._writer = pq.ParquetWriter(file, schema.with_metadata(origin.metadata), compression="zstd")
        self._waiting: list[pa.RecordBatch] = []

    def write_batch(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        if sum(map(len, self._waiting)) >= ROW_GROUP_ROWS:
            self._write_row_group()

    def close(self) -> None:
        self._write_row_group()
        self._writer.close()

    def _write_row_group(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._writer.write_table(pa.Table.from_batches(waiting))


class _Csv:
    def __init__(self, file: BinaryIO, schema: pa.Schema, _: Origin) -> None:
        self._writer = pyarrow.csv.CSVWriter(file, _csv_batch(to_batch([], schema)).schema)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(_csv_batch(batch))

    def close(self) -> None:
        self._writer.close()


class _JsonLines:
    def __init__(self, file: BinaryIO, *_: object) -> None:
        self._file = file

    def write_batch(self, batch: pa.RecordBatch) -> None:
        write_json_lines(batch, self._file)

    def close(self) -> None:
        """Nothing belongs at the end."""


FILE_FORMATS: dict[str, Callable[[BinaryIO, pa.Schema, Origin], Writer]] = {
    ".parquet": _Parquet,
    ".csv": _Csv,
    ".jsonl": _JsonLines,
}
"""What writes a file, by its suffix in lower case."""


def write_json_lines(batch: pa.RecordBatch, stream: BinaryIO) -> None:
    """Write rows as JSON lines (https://jsonlines.org): an object for each, with the columns as keys.

    Raises:
        OutputError: they can't be written.
    """
    columns = [_short(column).to_pylist() for column in batch.columns]
    lines = (
        json.dumps(dict(zip(batch.schema.names, values, strict=True)), ensure_ascii=False) + "\n"
        for values in zip(*columns, strict=True)
    )
    with output_errors():
        stream.write("".join(lines).encode())
        stream.flush()


def _csv_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows without embedding, and with the landmarks as numbers with spaces between them."""
    batch = batch.drop_columns([CSV_LEFT_OUT])
    index = batch.schema.get_field_index("landmarks")
    points = [value and " ".join(map(str, value)) for value in _short(batch["landmarks"]).to_pylist()]
    return batch.set_column(index, "landmarks", pa.array(points, pa.string()))


def _short(column: Any) -> Any:
    """A column whose values of 32 bits become those of 64 bits that are written with the fewest digits."""
    if pa.types.is_float32(column.type):
        return column.cast(pa.string()).cast(pa.float64())
    if pa.types.is_fixed_size_list(column.type):
        size = column.type.list_size
        values = column.fill_null([0.0] * size).flatten()
        return pa.FixedSizeListArray.from_arrays(_short(values), size, mask=column.is_null())
    return column
