import bz2
import gzip
import hashlib
import io
import lzma
import random
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facerec.training.archive import CHUNK_BYTES, download, extract
from facerec.training.errors import DataError

CONTENT = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class FlakyServer(ThreadingHTTPServer):
    """An HTTP server for CONTENT that closes the connection after some bytes of each response."""

    max_response_bytes = len(CONTENT)
    supports_ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/lfw-funneled.tgz"


class Handler(BaseHTTPRequestHandler):
    server: FlakyServer

    def do_GET(self) -> None:
        requested = self.headers.get("Range")
        self.server.ranges.append(requested)
        if requested and self.server.supports_ranges:
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
        else:
            start = 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + self.server.max_response_bytes])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FlakyServer]:
    with FlakyServer() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_second_call_downloads_nothing(server: FlakyServer, tmp_path: Path) -> None:
    target = tmp_path / "data" / "lfw.tgz"
    for _ in range(2):
        assert download(server.url, target, sha256=SHA256).read_bytes() == CONTENT
    assert server.ranges == [None]


def test_an_interrupted_download_is_resumed(server: FlakyServer, tmp_path: Path) -> None:
    server.max_response_bytes = 27 * CHUNK_BYTES
    target = download(server.url, tmp_path / "lfw.tgz", sha256=SHA256, retry_seconds=0)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={server.max_response_bytes}-", f"bytes={2 * server.max_response_bytes}-"]
    assert not list(tmp_path.glob("*.part"))


def test_a_later_call_resumes_the_download(server: FlakyServer, tmp_path: Path) -> None:
    server.max_response_bytes = 8 * CHUNK_BYTES
    with pytest.raises(DataError, match=r"resume at byte 2,621,440"):
        download(server.url, tmp_path / "lfw.tgz", sha256=SHA256, retry_seconds=0)
    server.max_response_bytes = len(CONTENT)
    assert download(server.url, tmp_path / "lfw.tgz", sha256=SHA256).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole_file(server: FlakyServer, tmp_path: Path) -> None:
    (tmp_path / "lfw.tgz.part").write_bytes(b"part of another file")
    server.supports_ranges = False
    assert download(server.url, tmp_path / "lfw.tgz", sha256=SHA256).read_bytes() == CONTENT


def test_a_complete_part_is_not_downloaded_again(server: FlakyServer, tmp_path: Path) -> None:
    (tmp_path / "lfw.tgz.part").write_bytes(CONTENT)
    assert download(server.url, tmp_path / "lfw.tgz", sha256=SHA256).read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_the_download_deleted(server: FlakyServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the checksum"):
        download(server.url, tmp_path / "lfw.tgz", sha256="0" * 64)
    assert not list(tmp_path.iterdir())


def test_an_unreachable_server_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data PATH"):
        download("http://127.0.0.1:9/lfw.tgz", tmp_path / "lfw.tgz", sha256=SHA256, retry_seconds=0)


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_each_archive_is_extracted_once_to_its_own_folder(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "people.tgz", {"people/Ann/1.jpg": b"one"})
    folder = extract(archive, tmp_path / "data")
    assert (folder / "people/Ann/1.jpg").read_bytes() == b"one"
    (folder / "people/Ann/1.jpg").write_bytes(b"kept")
    assert extract(archive, tmp_path / "data") == folder
    assert (folder / "people/Ann/1.jpg").read_bytes() == b"kept"
    write_archive(archive, {"people/Ann/1.jpg": b"two"})
    assert extract(archive, tmp_path / "data") != folder


def test_members_outside_of_the_folder_are_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "evil.tgz", {"../../outside.jpg": b"evil"})
    with pytest.raises(DataError, match="not a safe tar archive"):
        extract(archive, tmp_path / "data")
    assert not (tmp_path / "outside.jpg").exists()
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("position", [0.3, 0.5, 0.7, 0.9])
def test_an_archive_that_is_damaged_or_cut_off_in_the_middle_is_refused(
    compress: Callable[[bytes], bytes], position: float, tmp_path: Path
) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for number in range(40):
            member = tarfile.TarInfo(f"people/Ann/{number}.jpg")
            member.size = 5_000
            tar.addfile(member, io.BytesIO(random.Random(number).randbytes(member.size)))
        header = tar.getmembers()[int(40 * position)].offset
    whole = compress(plain.getvalue())
    start = header if compress is bytes else int(len(whole) * position)
    for number, damaged in enumerate((whole[:start] + bytes(range(40)) + whole[start + 40 :], whole[:start])):
        archive = tmp_path / f"{number}.tar"
        archive.write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged"):
            extract(archive, tmp_path / "data")
    (tmp_path / "whole.tar").write_bytes(whole)
    assert len(list(extract(tmp_path / "whole.tar", tmp_path / "data").rglob("*.jpg"))) == 40


@pytest.mark.parametrize("size", [0, 10, 60])
def test_an_archive_that_is_cut_off_at_its_start_is_refused(tmp_path: Path, size: int) -> None:
    archive = write_archive(tmp_path / "cut.tgz", {f"people/Ann/{i}.jpg": bytes(range(256)) for i in range(9)})
    archive.write_bytes(archive.read_bytes()[:size])
    with pytest.raises(DataError, match="is damaged"):
        extract(archive, tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_an_xz_archive_with_a_damaged_stream_is_refused(tmp_path: Path) -> None:
    whole = lzma.compress(write_archive(tmp_path / "whole.tar", {"people/Ann/1.jpg": bytes(5000)}).read_bytes())
    (tmp_path / "damaged.tar.xz").write_bytes(whole[:60] + bytes(20) + whole[80:])
    with pytest.raises(DataError, match="is damaged"):
        extract(tmp_path / "damaged.tar.xz", tmp_path / "data")


def test_a_path_that_cannot_be_written_is_an_error(server: FlakyServer, tmp_path: Path) -> None:
    no_folder = tmp_path / "file"
    no_folder.write_bytes(b"")
    archive = write_archive(tmp_path / "people.tgz", {"people/Ann/1.jpg": b"one"})
    with pytest.raises(DataError, match="Free some space"):
        extract(archive, no_folder)
    (tmp_path / "lfw.tgz.part").mkdir()
    with pytest.raises(DataError, match=r"can't write .*Free some space"):
        download(server.url, tmp_path / "lfw.tgz", sha256=SHA256, retry_seconds=0)
