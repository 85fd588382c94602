import csv
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facerec.labelling.errors import OutputClosed, OutputExists, OutputFull
from facerec.labelling.part_file import Origin, read_origin
from facerec.labelling.rows import Row, label_schema, to_batch
from facerec.labelling.single_file import single_file, write_json_lines
from tests.labelling.toy_archive import stored
from tests.training.small_disk import no_file_larger_than

SCHEMA = label_schema(3)
FACE = Row(
    path='/photos/"Zoë", 1.jpg',
    bytes=3,
    face=0,
    score=0.1,
    landmarks=np.arange(10).astype(np.float32) / np.float32(10),
    embedding=np.array([0.1, 1e-9, -1], np.float32),
    identity="Zoë",
)
NO_FACE = Row(path="/photos/2.jpg", error_code="picture_gone", error_message="It is gone.")
ORIGIN = Origin(recognizer="1", detector="2", landmarks="3", people="4")


def batches() -> list[pa.RecordBatch]:
    return [to_batch([FACE, NO_FACE], SCHEMA), to_batch([NO_FACE], SCHEMA)]


def write(path: Path, *, then: Exception | None = None, times: int = 1) -> None:
    with single_file(path, SCHEMA, ORIGIN) as write_rows:
        for batch in batches() * times:
            write_rows(batch)
            assert not path.exists()
        if then:
            raise then


def test_parquet_has_all_columns_and_the_origin(tmp_path: Path) -> None:
    write(tmp_path / "new" / "labels.parquet")
    path = tmp_path / "new" / "labels.parquet"
    assert pq.read_table(path).schema.equals(SCHEMA)
    assert len(stored(path)) == 3
    assert read_origin(path) == ORIGIN


def test_parquet_has_few_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    write(path, times=10_000)
    assert len(stored(path)) == 30_000
    assert pq.ParquetFile(path).num_row_groups == 3


def test_csv_has_all_columns_but_the_embedding(tmp_path: Path) -> None:
    path = tmp_path / "labels.CSV"
    write(path)
    with path.open(encoding="utf-8", newline="") as file:
        face, no_face, _ = csv.DictReader(file)
    assert [*face] == [name for name in SCHEMA.names if name != "embedding"]
    assert (face["path"], face["identity"], face["score"]) == (FACE.path, "Zoë", "0.1")
    assert face["landmarks"] == "0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9"
    assert (no_face["face"], no_face["landmarks"], no_face["error_code"]) == ("", "", "picture_gone")


def test_json_lines_have_all_columns_and_short_numbers(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    write(path)
    lines = path.read_text("utf-8").splitlines()
    face, no_face, _ = map(json.loads, lines)
    assert [*face] == SCHEMA.names
    assert face["path"] == FACE.path
    assert '"score": 0.1, ' in lines[0]
    assert '"embedding": [0.1, 1e-09, -1.0], ' in lines[0]
    assert face["landmarks"][1] == 0.1
    assert (no_face["embedding"], no_face["landmarks"]) == (None, None)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_run_without_rows_leaves_a_file_that_can_be_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"
    with single_file(path, SCHEMA, ORIGIN):
        pass
    assert path.exists()
    if suffix == ".parquet":
        assert len(pq.read_table(path)) == 0
    if suffix == ".csv":
        assert path.read_text().startswith('"path","sha256",')


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_run_that_fails_leaves_no_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"
    with pytest.raises(ZeroDivisionError):
        write(path, then=ZeroDivisionError())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_an_error_of_the_block_is_no_error_of_the_file(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / f"labels{suffix}", then=FileNotFoundError())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_full_disk_is_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"
    with no_file_larger_than(100), pytest.raises(OutputFull):
        write(path, times=100)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("mine")
    with pytest.raises(OutputExists, match="folder"), single_file(path, SCHEMA, ORIGIN):
        pass
    assert path.read_text() == "mine"


def test_a_file_that_another_run_made_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with pytest.raises(OutputExists), single_file(path, SCHEMA, ORIGIN):
        write(path)
    assert len(path.read_text().splitlines()) == 4
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_that_leaves_is_told() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(OutputClosed), os.fdopen(writer, "wb", buffering=0) as stream:
        write_json_lines(batches()[0], stream)
