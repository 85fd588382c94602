import errno
import fcntl
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facerec.labelling.errors import (
    OutputDamaged,
    OutputFull,
    OutputInUse,
    OutputNotLabels,
    OutputNotWritable,
    OutputOfOtherGallery,
    OutputOfOtherModel,
    OutputOfOtherVersion,
    OutputUnreadable,
)
from facerec.labelling.found import FoundPicture
from facerec.labelling.label_folder import LabelFolder
from facerec.labelling.labeller import Labeller
from facerec.labelling.matching import Matcher
from facerec.labelling.part_file import Origin, finished_file, read_origin
from facerec.labelling.rows import Row, label_schema, to_batch
from facerec.people.gallery import Known, Snapshot
from tests.labelling.toy_archive import stored
from tests.training.small_disk import no_file_larger_than

SCHEMA = label_schema(3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "labels"


def rows(*numbers: int, modified: int = 1, **fields: Any) -> pa.RecordBatch:
    """A batch of pictures with as many faces as their number, but at least one row."""
    listed = [
        Row(
            path=f"/photos/{number}.jpg",
            bytes=number,
            modified=modified,
            face=face if number else None,
            embedding=np.eye(3, dtype=np.float32)[face % 3] if number else None,
            **fields,
        )
        for number in numbers
        for face in range(max(number, 1))
    ]
    return to_batch(listed, SCHEMA)


def found(number: int, *, modified: int | None = 1) -> FoundPicture:
    return FoundPicture(f"/photos/{number}.jpg", number, modified)


def write(folder: Path, origin: Origin, matcher: Matcher, batches: Iterable[pa.RecordBatch], **options: Any) -> None:
    with LabelFolder(folder, SCHEMA, origin, matcher, **options) as labels:
        for batch in batches:
            labels.write(batch)


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_parts_are_one_table_for_any_reader(folder: Path, origin: Origin, matcher: Matcher) -> None:
    write(folder, origin, matcher, [rows(0, 1), rows(2)], part_rows=2)
    assert parts(folder) == ["part-000001.parquet", "part-000002.parquet"]
    assert [(row["path"], row["face"]) for row in pq.read_table(folder).to_pylist()] == [
        ("/photos/0.jpg", None),
        ("/photos/1.jpg", 0),
        ("/photos/2.jpg", 0),
        ("/photos/2.jpg", 1),
    ]


def test_a_part_is_written_when_its_time_is_up(folder: Path, origin: Origin, matcher: Matcher) -> None:
    with LabelFolder(folder, SCHEMA, origin, matcher, part_seconds=0) as labels:
        labels.write(rows(1))
        assert parts(folder) == ["part-000001.parquet"]
    with LabelFolder(folder, SCHEMA, origin, matcher) as labels:
        labels.write(rows(2))
        assert parts(folder) == ["part-000001.parquet"]
    assert parts(folder) == ["part-000001.parquet", "part-000002.parquet"]


def test_pictures_that_have_not_changed_are_done(folder: Path, origin: Origin, matcher: Matcher) -> None:
    write(folder, origin, matcher, [rows(0, 1, 2), rows(7, modified=3)], part_rows=2)
    with LabelFolder(folder, SCHEMA, origin, matcher) as labels:
        assert len(labels.index) == 4
        assert [labels.index.is_done(found(number)) for number in (0, 1, 2, 3)] == [True, True, True, False]
        assert not labels.index.is_done(found(1, modified=2))
        assert not labels.index.is_done(found(1, modified=None))
        assert not labels.index.is_done(found(1)._replace(bytes=2))
        assert labels.index.is_done(found(7, modified=3))


def test_a_url_is_done_once_it_was_read(folder: Path, origin: Origin, matcher: Matcher) -> None:
    url = "https://example.org/a.jpg"
    write(folder, origin, matcher, [to_batch([Row(path=url, bytes=3)], SCHEMA)])
    with LabelFolder(folder, SCHEMA, origin, matcher) as labels:
        assert labels.index.is_done(FoundPicture(url, None, None))
        assert not labels.index.is_done(FoundPicture(url + "?", None, None))


@pytest.mark.parametrize(
    ("code", "done"),
    [
        ("unsupported_picture", True),
        ("picture_too_large", True),
        ("too_many_pixels", True),
        ("picture_too_costly", False),
        ("picture_gone", False),
    ],
)
def test_an_error_is_done_if_the_content_is_the_reason(
    folder: Path, origin: Origin, matcher: Matcher, code: str, done: bool
) -> None:
    write(folder, origin, matcher, [rows(0, error_code=code)])
    with LabelFolder(folder, SCHEMA, origin, matcher) as labels:
        assert labels.index.is_done(found(0)) == done


def test_rows_of_a_picture_that_was_done_again_replace_the_old_ones(
    folder: Path, origin: Origin, matcher: Matcher
) -> None:
    write(folder, origin, matcher, [rows(1), rows(2, 3)], part_rows=1)
    write(folder, origin, matcher, [rows(1, 2, modified=2)])
    assert parts(folder) == ["part-000002.parquet", "part-000003.parquet"]
    assert [(row["path"], row["modified"]) for row in stored(folder)] == [
        ("/photos/1.jpg", 2),
        *[("/photos/2.jpg", 2)] * 2,
        *[("/photos/3.jpg", 1)] * 3,
    ]


def test_old_rows_that_a_killed_run_left_are_removed_by_the_next(
    folder: Path, origin: Origin, matcher: Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, origin, matcher, [rows(1, 2)])
    with monkeypatch.context() as killed:
        killed.setattr(LabelFolder, "_remove_superseded", lambda _: None)
        write(folder, origin, matcher, [rows(2, modified=2)])
    assert len(stored(folder)) == 5
    (folder / ".unfinished-part-000003.parquet").write_bytes(b"half")
    with LabelFolder(folder, SCHEMA, origin, matcher) as labels:
        assert labels.index.is_done(found(2, modified=2))
        assert [row["modified"] for row in stored(folder)] == [1, 2, 2]
        assert parts(folder) == ["part-000001.parquet", "part-000002.parquet"]


def test_a_changed_gallery_matches_stored_embeddings_anew(
    folder: Path, labeller: Labeller, origin: Origin, matcher: Matcher
) -> None:
    write(folder, origin, matcher, [rows(0, 1), rows(2, group="g1")], part_rows=2)
    assert {row["identity"] for row in stored(folder)} == {None}
    directions = labeller.models.directions
    people = Snapshot((Known("Rosa", None, 1, shipped=False),), directions[:1])
    other = Matcher(labeller.models.recognizer, people, None)
    new = Origin.of(labeller.models, other.checksum)
    with LabelFolder(folder, SCHEMA, new, other) as labels:
        assert labels.renamed == {"Rosa": 2}
    assert [(row["identity"], row["group"]) for row in stored(folder)] == [
        (None, None),
        ("Rosa", None),
        ("Rosa", None),
        (None, "g1"),
    ]
    assert [row["threshold"] is None for row in stored(folder)] == [True, False, False, False]
    assert [row["similarity"] for row in stored(folder)] == [None, 1, 1, 0]
    assert {read_origin(folder / name) for name in parts(folder)} == {new}
    with LabelFolder(folder, SCHEMA, new, other) as labels:
        assert len(labels.index) == 3


def test_names_are_not_taken_out_because_the_gallery_is_not_there(
    folder: Path, labeller: Labeller, origin: Origin, matcher: Matcher
) -> None:
    write(folder, origin, matcher, [rows(1, identity="Rosa", person_id="7")])
    nobody = Snapshot((), np.zeros((0, 3), np.float32))
    without_gallery = Matcher(labeller.models.recognizer, nobody, None, has_gallery=False)
    today = Origin.of(labeller.models, without_gallery.checksum)
    with pytest.raises(OutputOfOtherGallery, match="FACEREC_GALLERY"):
        LabelFolder(folder, SCHEMA, today, without_gallery)
    assert [row["identity"] for row in stored(folder)] == ["Rosa"]
    emptied = Matcher(labeller.models.recognizer, nobody, None)
    with LabelFolder(folder, SCHEMA, today, emptied) as labels:
        assert labels.renamed == {None: 1}
    assert [row["identity"] for row in stored(folder)] == [None]


def test_labels_of_other_models_are_refused(folder: Path, origin: Origin, matcher: Matcher) -> None:
    write(folder, origin, matcher, [rows(1)])
    for name in ("recognizer", "detector", "landmarks"):
        with pytest.raises(OutputOfOtherModel, match="new folder"):
            LabelFolder(folder, SCHEMA, origin.model_copy(update={name: "0"}), matcher)
    write(folder, origin, matcher, [])  # nothing was changed, and the folder is free


def test_labels_of_another_version_are_refused(folder: Path, origin: Origin, matcher: Matcher) -> None:
    write(folder, origin.model_copy(update={"format_version": 2}), matcher, [rows(1)])
    with pytest.raises(OutputOfOtherVersion, match="another version"):
        LabelFolder(folder, SCHEMA, origin, matcher)


@pytest.mark.parametrize("name", ["part-000001.parquet", "mine.parquet"])
def test_a_folder_with_other_tables_is_refused(folder: Path, origin: Origin, matcher: Matcher, name: str) -> None:
    folder.mkdir()
    pq.write_table(pa.table({"a": [1]}), folder / name)
    with pytest.raises(OutputNotLabels, match=name):
        LabelFolder(folder, SCHEMA, origin, matcher)


def test_a_damaged_part_is_named_and_once_removed_its_pictures_are_done_again(
    folder: Path, origin: Origin, matcher: Matcher
) -> None:
    write(folder, origin, matcher, [rows(1), rows(2)], part_rows=1)
    part = folder / "part-000001.parquet"
    part.write_bytes(part.read_bytes()[:-10])
    with pytest.raises(OutputDamaged, match="part-000001"):
        LabelFolder(folder, SCHEMA, origin, matcher)
    part.unlink()
    with LabelFolder(folder, SCHEMA, origin, matcher) as labels:
        assert not labels.index.is_done(found(1))
        assert labels.index.is_done(found(2))


def test_a_part_that_can_not_be_read_is_not_called_damaged(folder: Path, origin: Origin, matcher: Matcher) -> None:
    write(folder, origin, matcher, [rows(1)])
    (folder / "part-000002.parquet").symlink_to(folder / "gone")
    with pytest.raises(OutputUnreadable, match="No such file"):
        LabelFolder(folder, SCHEMA, origin, matcher)


def test_a_part_with_damaged_pages_is_named(folder: Path, origin: Origin, matcher: Matcher) -> None:
    write(folder, origin, matcher, [rows(*range(1, 30))])
    part = folder / "part-000001.parquet"
    content = bytearray(part.read_bytes())
    content[4:200] = bytes(196)
    part.write_bytes(content)
    with pytest.raises(OutputDamaged, match="part-000001"):
        LabelFolder(folder, SCHEMA, origin, matcher)


def test_one_process_at_a_time_writes(folder: Path, origin: Origin, matcher: Matcher) -> None:
    with LabelFolder(folder, SCHEMA, origin, matcher), pytest.raises(OutputInUse):
        LabelFolder(folder, SCHEMA, origin, matcher)
    lock = "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, 2); print(1, flush=True); input()"
    command = [sys.executable, "-c", lock, str(folder / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(OutputInUse):
            LabelFolder(folder, SCHEMA, origin, matcher)
        other.kill()
    write(folder, origin, matcher, [])


def test_a_file_system_without_locks_is_told(
    folder: Path, origin: Origin, matcher: Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(OutputNotWritable, match="No locks available"):
        LabelFolder(folder, SCHEMA, origin, matcher)


def test_a_full_disk_keeps_all_parts(folder: Path, origin: Origin, matcher: Matcher) -> None:
    write(folder, origin, matcher, [rows(1)])
    before = {name: (folder / name).read_bytes() for name in parts(folder)}
    with (
        pytest.raises(OutputFull, match="make room"),
        LabelFolder(folder, SCHEMA, origin, matcher, part_seconds=0) as labels,
        no_file_larger_than(100),
    ):
        labels.write(rows(2))
    assert {name: (folder / name).read_bytes() for name in parts(folder)} == before
    write(folder, origin, matcher, [rows(2)])
    assert len(stored(folder)) == 3


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path, origin: Origin, matcher: Matcher) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "labels"):
        with pytest.raises(OutputNotWritable):
            LabelFolder(path, SCHEMA, origin, matcher)


def test_an_error_in_the_block_keeps_what_was_written(folder: Path, origin: Origin, matcher: Matcher) -> None:
    def interrupted() -> Iterator[pa.RecordBatch]:
        yield rows(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(folder, origin, matcher, interrupted())
    assert len(stored(folder)) == 1


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(ZeroDivisionError):
        _write_half(path)
    assert list(tmp_path.iterdir()) == []
    with finished_file(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path) -> None:
    with finished_file(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
