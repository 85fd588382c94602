from pathlib import Path

import pytest

from facerec.training.atomic_write import replacing


def test_a_file_is_replaced_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    for content in ("first", "second"):
        with replacing(path) as unfinished:
            unfinished.write_text(content)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == content
        assert list(path.parent.iterdir()) == [path]


def test_what_was_there_stays_where_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("before")

    def write_half() -> None:
        with replacing(path) as unfinished:
            unfinished.write_text("ha")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "before"
