import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from s3fs import S3FileSystem

from facerec.labelling.errors import PictureGone, PictureUnreadable
from facerec.labelling.found import FoundPicture
from facerec.labelling.labeller import Labeller
from facerec.labelling.matching import Matcher
from facerec.labelling.sources import find_pictures
from facerec.labelling.storage import read_stored
from facerec.pictures.errors import PictureTooLarge
from tests.labelling.s3_server import S3Server, s3_server
from tests.labelling.toy_archive import Reports, rows_of, toy_photo


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with pytest.MonkeyPatch.context() as monkeypatch, s3_server(monkeypatch) as server:
        objects = {"a.jpg": b"1", "2024/b c.png": b"22", "2024/n.txt": b"3", "2024/x/d.jpg": b"", "[1].jpg": b"5"}
        server.put("photos", **objects)
        server.put("toys", **{f"{number}.png": toy_photo(number) for number in range(4)})
        yield server


def found(path: str, codes: dict[str, str]) -> list[str]:
    """The pictures that a path names. The codes are those of what is reported."""
    reports = Reports()
    paths = [picture.path for picture in find_pictures(path, reports)]
    assert reports.codes == codes
    return paths


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("s3://photos", ["[1].jpg", "a.jpg", "2024/b c.png", "2024/x/d.jpg"]),
        ("s3://photos/2024/", ["2024/b c.png", "2024/x/d.jpg"]),
        ("s3://photos/*/*.png", ["2024/b c.png"]),
        ("s3://photos/**/*.jpg", ["[1].jpg", "a.jpg", "2024/x/d.jpg"]),
        ("s3://photos/[1].jpg", ["[1].jpg"]),
        ("s3://photos/2024/n.txt", ["2024/n.txt"]),
        ("s3://photos/gone.jpg", ["gone.jpg"]),
    ],
)
def test_a_bucket_is_searched_like_a_folder(s3: S3Server, path: str, names: list[str]) -> None:
    assert found(path, {}) == [f"s3://photos/{name}" for name in names]


@pytest.mark.parametrize("path", ["s3://photos/gone", "s3://nobody/", "s3://photos/*.gif"])
def test_what_is_not_there_is_reported(s3: S3Server, path: str) -> None:
    assert found(path, {path: "path_not_found"}) == []


def test_an_address_of_unknown_kind_is_reported() -> None:
    assert found("nothing://a/b", {"nothing://a/b": "address_not_supported"}) == []


def test_size_and_time_are_those_of_the_listing(s3: S3Server) -> None:
    before = datetime.now(UTC).timestamp()
    s3.files.pipe_file("photos/new/e.jpg", b"12345")
    (picture,) = find_pictures("s3://photos/new", Reports())
    assert picture.bytes == 5
    assert picture.modified
    assert before - 2 < picture.modified / 10**9 < before + 60
    s3.files.rm("photos/new/e.jpg")


def test_objects_are_read(s3: S3Server) -> None:
    pictures = {picture.path: picture for picture in find_pictures("s3://photos", Reports())}
    (picture, data) = read_stored(pictures["s3://photos/2024/b c.png"], 2)
    assert (picture, data) == (pictures["s3://photos/2024/b c.png"], b"22")
    assert read_stored(pictures["s3://photos/2024/x/d.jpg"], 2).data == b""
    with pytest.raises(PictureTooLarge):
        read_stored(picture, 1)
    with pytest.raises(PictureGone):
        read_stored(FoundPicture("s3://photos/gone.jpg", None, None), 10)


def test_a_bucket_is_labelled(s3: S3Server, labeller: Labeller, matcher: Matcher) -> None:
    rows = rows_of(list(labeller.label(find_pictures("s3://toys", Reports()), matcher)))
    assert [(row["path"], row["face"], row["error_code"]) for row in rows] == [
        ("s3://toys/0.png", None, None),
        ("s3://toys/1.png", 0, None),
        ("s3://toys/2.png", 0, None),
        ("s3://toys/2.png", 1, None),
        ("s3://toys/3.png", None, None),
    ]


def test_a_bucket_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server(monkeypatch) as server:
        server.put("photos", **{"a.jpg": b"1"})
        (picture,) = find_pictures("s3://photos", Reports())
        server.refuse()
        S3FileSystem.clear_instance_cache()
        assert found("s3://photos", {"s3://photos": "storage_failed"}) == []
        with pytest.raises(PictureUnreadable, match=r"Forbidden|denied|not exist"):
            read_stored(picture, 10)


def test_a_storage_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server(monkeypatch):
        pass
    assert found("s3://photos", {"s3://photos": "storage_failed"}) == []


def test_a_chained_address_leads_into_an_archive(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x/a.jpg", b"1")
        file.writestr("b.txt", b"2")
    fsspec.filesystem("memory").pipe_file("/photos.zip", archive.getvalue())
    (picture,) = find_pictures("zip://*::memory://photos.zip", Reports())
    assert picture.path == "zip://x/a.jpg::memory://photos.zip"
    assert read_stored(picture, 10).data == b"1"
