from pathlib import Path

import pytest

from facerec.atomic_write import atomic_write


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for content in (b"first", b"second"):
        with atomic_write(path) as file:
            file.write(content)
            assert not path.exists() or path.read_bytes() == b"first"
        assert path.read_bytes() == content
        assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("before")

    def write_half() -> None:
        with atomic_write(path) as file:
            file.write(b"ha")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "before"


def test_of_two_writers_the_last_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with atomic_write(path) as slow:
        slow.write(b"slow and ")
        with atomic_write(path) as fast:
            fast.write(b"fast")
        assert path.read_bytes() == b"fast"
        slow.write(b"whole")
    assert path.read_bytes() == b"slow and whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_may_be_as_long_as_a_name_can_be(tmp_path: Path) -> None:
    with atomic_write(tmp_path / ("x" * 255)) as file:
        file.write(b"content")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


def test_a_private_file_is_its_owners(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "people", mode=0o600) as file:
        file.write(b"content")
    assert (tmp_path / "people").stat().st_mode & 0o777 == 0o600
