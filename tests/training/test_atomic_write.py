from pathlib import Path

import pytest

from facerec.training.atomic_write import atomic_write


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    for content in ("first", "second"):
        with atomic_write(path) as unfinished:
            unfinished.write_text(content)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == content
        assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("before")

    def write_half() -> None:
        with atomic_write(path) as unfinished:
            unfinished.write_text("ha")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "before"
