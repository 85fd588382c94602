import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facerec.labelling.errors import PictureChanged, PictureGone, PictureUnreadable
from facerec.labelling.local_files import from_text, read_local, to_text
from facerec.labelling.sources import Paths, find_pictures, read_list
from facerec.pictures.errors import PictureTooLarge
from tests.labelling.toy_archive import Reports

needs_rights = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


def make(folder: Path, *names: str) -> Path:
    """Files with these names below a folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def found(paths: Paths, folder: Path, reports: Reports | None = None) -> list[str]:
    """The pictures that paths name, relative to a folder. Nothing is reported unless `reports` is given."""
    seen = reports or Reports()
    names = [os.path.relpath(from_text(picture.path), folder) for picture in find_pictures(paths, seen)]
    assert reports or not seen.codes
    return names


def test_a_folder_is_searched_for_files_with_the_suffix_of_a_picture(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a/2.HEIC", "a/1.png", "notes.txt", "b.jpg.xmp", ".hidden.jpg", ".trash/c.jpg")
    make(tmp_path, "@eaDir/b.jpg/SYNOPHOTO_THUMB_XL.jpg", "a/#recycle/d.jpg", "$RECYCLE.BIN/e.jpg")
    assert found(tmp_path, tmp_path) == ["a/1.png", "a/2.HEIC", "b.jpg"]
    (picture, *_) = find_pictures(tmp_path, Reports())
    status = (tmp_path / "a/1.png").stat()
    assert picture == (str(tmp_path / "a/1.png"), status.st_size, status.st_mtime_ns)


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "photos/a.jpg")
    monkeypatch.chdir(tmp_path)
    assert [picture.path for picture in find_pictures("photos/", Reports())] == [str(tmp_path / "photos/a.jpg")]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jpg", ["a.jpg"]),
        ("*", ["2023/x/d.jpg", "2024/b.jpg", "2024/c.png", "a.jpg"]),
        ("2024/*.jpg", ["2024/b.jpg"]),
        ("202?", ["2023/x/d.jpg", "2024/b.jpg", "2024/c.png"]),
        ("202[3]/*", ["2023/x/d.jpg"]),
        ("**/*.jpg", ["2023/x/d.jpg", "2024/b.jpg", "a.jpg"]),
        ("*/x/*.jpg", ["2023/x/d.jpg"]),
    ],
)
def test_patterns_match_files_and_whole_folders(tmp_path: Path, pattern: str, names: list[str]) -> None:
    make(tmp_path, "a.jpg", "2024/b.jpg", "2024/c.png", "2024/n.txt", "2023/x/d.jpg")
    assert found(str(tmp_path / pattern), tmp_path) == names


def test_a_pattern_does_not_search_folders_that_it_can_not_match(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "b/circle").symlink_to(tmp_path / "b")  # would be reported
    assert found(str(tmp_path / "a*/*.jpg"), tmp_path) == ["a/1.jpg"]


def test_a_name_with_wildcards_is_taken_as_it_is_if_it_is_there(tmp_path: Path) -> None:
    make(tmp_path, "[1].jpg", "1.jpg", "set [a]/b.jpg", "set a/c.jpg")
    assert found(str(tmp_path / "[1].jpg"), tmp_path) == ["[1].jpg"]
    assert found(str(tmp_path / "set [a]"), tmp_path) == ["set [a]/b.jpg"]


def test_each_picture_is_found_once(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b/c.jpg")
    paths: list[str | Path] = [str(tmp_path / "a.jpg"), tmp_path, f"{tmp_path}/*.jpg", str(tmp_path / "b/c.jpg")]
    assert found(paths, tmp_path) == ["a.jpg", "b/c.jpg"]


def test_what_is_not_there_is_reported_or_left_to_its_row(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    reports = Reports()
    paths: list[str | Path] = [
        tmp_path / "gone",
        tmp_path / "gone.jpg",
        f"{tmp_path}/*.png",
        f"{tmp_path}/gone/*.png",
        tmp_path,
    ]
    assert found(paths, tmp_path, reports) == ["gone.jpg", "a.jpg"]
    names = (tmp_path / "gone", tmp_path / "*.png", tmp_path / "gone" / "*.png")
    assert reports.codes == {str(name): "path_not_found" for name in names}


def test_links_are_followed_and_circles_reported(tmp_path: Path) -> None:
    archive = make(tmp_path / "archive", "a/1.jpg", "b/2.jpg")
    make(tmp_path / "elsewhere", "3.jpg")
    for link, target in (
        ("a/up", archive),
        ("b/self", archive / "b" / "self"),
        ("c", tmp_path / "elsewhere"),
        ("d", archive / "b"),  # searched already
        ("e.jpg", archive / "a" / "1.jpg"),
        ("f.jpg", tmp_path / "nothing"),
    ):
        (archive / link).symlink_to(target)
    reports = Reports()
    assert found(archive, archive, reports) == ["a/1.jpg", "b/2.jpg", "c/3.jpg", "e.jpg", "f.jpg"]
    assert reports.codes == {str(archive / name): "link_circle" for name in ("a/up", "b/self")}


def test_links_between_folders_that_lie_side_by_side_end(tmp_path: Path) -> None:
    make(tmp_path, *(f"{folder}/{folder}.jpg" for folder in "abcdefgh"))
    for one in "abcdefgh":
        for other in "abcdefgh":
            (tmp_path / one / f"to_{other}").symlink_to(tmp_path / other)
    assert len(found(tmp_path, tmp_path, Reports())) == 8


def test_a_folder_that_can_not_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a").chmod(0)
    reports = Reports()
    try:
        if os.geteuid() == 0:  # root may read everything, but not a folder that goes in this moment
            listdir = os.listdir
            monkeypatch.setattr(os, "listdir", _removing(tmp_path / "a", listdir))
        assert found(tmp_path, tmp_path, reports) == ["b/2.jpg"]
    finally:
        if (tmp_path / "a").exists():
            (tmp_path / "a").chmod(0o700)
    assert reports.codes == {str(tmp_path / "a"): "folder_unreadable"}


def test_what_can_not_be_looked_at_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "mount/1.jpg", "b/2.jpg", "closed/notes.txt", "closed/more.txt", "closed/folder/3.jpg")
    make(tmp_path, "somebody's mount/4.jpg")
    real, real_access = os.stat, os.access

    def stale(path: str, *arguments: Any, **options: Any) -> os.stat_result:
        if str(path) == str(tmp_path / "mount"):
            raise OSError(errno.ESTALE, "Stale file handle")
        if str(path).startswith((str(tmp_path / "closed") + "/", str(tmp_path / "somebody's mount"))):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", stale)
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(tmp_path / "closed") and real_access(path, mode))
    reports = Reports()
    assert found(tmp_path, tmp_path, reports) == ["b/2.jpg"]
    names = ("mount", "closed", "somebody's mount")
    assert reports.codes == {str(tmp_path / name): "folder_unreadable" for name in names}


def _removing(folder: Path, listdir: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """`os.listdir`, before which `folder` is removed."""

    def remove_and_list(path: str) -> list[str]:
        if path == str(folder):
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        return listdir(path)

    return remove_and_list


def test_a_name_that_is_not_utf_8_finds_its_file_again(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9%41.jpg")
    make(tmp_path, "a.jpg")
    (tmp_path / name).write_bytes(b"content")
    plain, escaped = find_pictures(tmp_path, Reports())
    assert plain.path == str(tmp_path / "a.jpg")
    assert escaped.path == f"file://{tmp_path}/caf%E9%2541.jpg"
    assert from_text(escaped.path) == str(tmp_path / name)
    assert read_local(escaped.path, 100).data == b"content"
    assert list(find_pictures(escaped.path, Reports())) == [escaped]
    assert to_text("/a/%41.jpg") == from_text("/a/%41.jpg") == "/a/%41.jpg"


def test_a_list_names_files_and_urls(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.jpg")
    make(tmp_path, "a b.jpg", "#c.jpg", "photos/d.jpg")
    (tmp_path / name).write_bytes(b"")
    file = tmp_path / "list.txt"
    lines = [
        f"{tmp_path}/a b.jpg",
        "",
        f"{tmp_path}/#c.jpg\r",
        "https://example.org/\u00fc.jpg?a=1",
        f"{tmp_path}/photos",
    ]
    file.write_bytes(os.fsencode("\n".join([*lines, f"{tmp_path}/{name}"])))
    assert [picture.path for picture in find_pictures(read_list(file), Reports())] == [
        f"{tmp_path}/a b.jpg",
        f"{tmp_path}/#c.jpg",
        "https://example.org/\u00fc.jpg?a=1",
        f"{tmp_path}/photos/d.jpg",
        f"file://{tmp_path}/%FF.jpg",
    ]


def test_a_url_that_is_not_utf_8_has_its_bytes_escaped() -> None:
    (picture,) = find_pictures(os.fsdecode(b"http://example.org/a%20\xff?b=\xc3\xbc"), Reports())
    assert picture == ("http://example.org/a%20%FF?b=%C3%BC", None, None)


def test_reading_gives_the_file_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    assert read_local(str(path), 5) == ((str(path), 5, path.stat().st_mtime_ns), b"12345")
    with pytest.raises(PictureTooLarge):
        read_local(str(path), 4)


def test_what_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    for name in ("folder.jpg", "pipe.jpg", "loop.jpg"):
        with pytest.raises(PictureUnreadable):
            read_local(str(tmp_path / name), 10)
    for name in ("gone.jpg", "folder.jpg/gone.jpg", "x" * 200 + "/gone.jpg"):
        with pytest.raises(PictureGone):
            read_local(str(tmp_path / name), 10)


@needs_rights
def test_a_file_without_the_right_to_read_it_is_told(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    (tmp_path / "a.jpg").chmod(0)
    with pytest.raises(PictureUnreadable):
        read_local(str(tmp_path / "a.jpg"), 10)


def test_a_picture_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(2 * 10**7))
    end = threading.Event()

    def change() -> None:
        while not end.is_set():
            os.truncate(path, path.stat().st_size - 1)
            time.sleep(0.0002)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with pytest.raises(PictureChanged):  # noqa: PT012 - one of many reads
            for _ in range(200):
                read_local(str(path), 10**8)
    finally:
        end.set()
        thread.join()
