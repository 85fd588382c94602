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

from facerec.training.archive import CHUNK, download, extract
from facerec.training.errors import DataError

CONTENT = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class FlakyServer(ThreadingHTTPServer):
    """Serves CONTENT, breaking the connection off after `patience` bytes of each answer."""

    patience = len(CONTENT)
    honours_ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/lfw-funneled.tgz"


class Handler(BaseHTTPRequestHandler):
    server: FlakyServer

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.honours_ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + self.server.patience])

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


def test_downloads_once(server: FlakyServer, tmp_path: Path) -> None:
    target = tmp_path / "data" / "lfw.tgz"
    for _ in range(2):
        assert download(server.url, target, sha256=SHA256).read_bytes() == CONTENT
    assert server.ranges == [None]


def test_goes_on_where_it_was_cut_off(server: FlakyServer, tmp_path: Path) -> None:
    server.patience = 27 * CHUNK
    target = download(server.url, tmp_path / "lfw.tgz", sha256=SHA256, pause=0)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={server.patience}-", f"bytes={2 * server.patience}-"]
    assert not list(tmp_path.glob("*.part"))


def test_a_later_call_goes_on(server: FlakyServer, tmp_path: Path) -> None:
    server.patience = 8 * CHUNK
    with pytest.raises(DataError, match=r"go on from byte 2,621,440"):
        download(server.url, tmp_path / "lfw.tgz", sha256=SHA256, pause=0)
    server.patience = len(CONTENT)
    assert download(server.url, tmp_path / "lfw.tgz", sha256=SHA256).read_bytes() == CONTENT


def test_starts_anew_where_ranges_are_ignored(server: FlakyServer, tmp_path: Path) -> None:
    (tmp_path / "lfw.tgz.part").write_bytes(b"something of another server")
    server.honours_ranges = False
    assert download(server.url, tmp_path / "lfw.tgz", sha256=SHA256).read_bytes() == CONTENT


def test_a_complete_part_only_needs_its_checksum(server: FlakyServer, tmp_path: Path) -> None:
    (tmp_path / "lfw.tgz.part").write_bytes(CONTENT)
    assert download(server.url, tmp_path / "lfw.tgz", sha256=SHA256).read_bytes() == CONTENT


def test_refuses_other_bytes(server: FlakyServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the checksum"):
        download(server.url, tmp_path / "lfw.tgz", sha256="0" * 64)
    assert not list(tmp_path.iterdir())


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data PATH"):
        download("http://127.0.0.1:9/lfw.tgz", tmp_path / "lfw.tgz", sha256=SHA256, pause=0)


def archive_with(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_extracts_once_into_a_folder_of_its_own(tmp_path: Path) -> None:
    archive = archive_with(tmp_path / "people.tgz", {"people/Ann/1.jpg": b"one"})
    folder = extract(archive, tmp_path / "data")
    assert (folder / "people/Ann/1.jpg").read_bytes() == b"one"
    (folder / "people/Ann/1.jpg").write_bytes(b"kept")
    assert extract(archive, tmp_path / "data") == folder
    assert (folder / "people/Ann/1.jpg").read_bytes() == b"kept"
    archive_with(archive, {"people/Ann/1.jpg": b"two"})
    assert extract(archive, tmp_path / "data") != folder


def test_refuses_members_that_leave_the_folder(tmp_path: Path) -> None:
    archive = archive_with(tmp_path / "evil.tgz", {"../../outside.jpg": b"evil"})
    with pytest.raises(DataError, match="not a safe tar archive"):
        extract(archive, tmp_path / "data")
    assert not (tmp_path / "outside.jpg").exists()
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("place", [0.3, 0.5, 0.7, 0.9])
def test_an_archive_damaged_in_the_middle_is_not_taken_for_a_smaller_one(
    compress: Callable[[bytes], bytes], place: float, tmp_path: Path
) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for number in range(40):
            member = tarfile.TarInfo(f"people/Ann/{number}.jpg")
            member.size = 5_000
            tar.addfile(member, io.BytesIO(random.Random(number).randbytes(member.size)))
        header = tar.getmembers()[int(40 * place)].offset
    whole = compress(plain.getvalue())
    hole = header if compress is bytes else int(len(whole) * place)
    for number, damaged in enumerate((whole[:hole] + bytes(range(40)) + whole[hole + 40 :], whole[:hole])):
        archive = tmp_path / f"{number}.tar"
        archive.write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged"):
            extract(archive, tmp_path / "data")
    (tmp_path / "whole.tar").write_bytes(whole)
    assert len(list(extract(tmp_path / "whole.tar", tmp_path / "data").rglob("*.jpg"))) == 40


@pytest.mark.parametrize("keep", [0, 10, 60])
def test_damaged_archive(tmp_path: Path, keep: int) -> None:
    archive = archive_with(tmp_path / "cut.tgz", {f"people/Ann/{i}.jpg": bytes(range(256)) for i in range(9)})
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(DataError, match="is damaged"):
        extract(archive, tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_damaged_xz_archive(tmp_path: Path) -> None:
    whole = lzma.compress(archive_with(tmp_path / "whole.tar", {"people/Ann/1.jpg": bytes(5000)}).read_bytes())
    (tmp_path / "damaged.tar.xz").write_bytes(whole[:60] + bytes(20) + whole[80:])
    with pytest.raises(DataError, match="is damaged"):
        extract(tmp_path / "damaged.tar.xz", tmp_path / "data")


def test_a_folder_that_can_not_be_written_is_told(server: FlakyServer, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.write_bytes(b"")  # no folder
    archive = archive_with(tmp_path / "people.tgz", {"people/Ann/1.jpg": b"one"})
    with pytest.raises(DataError, match="Free some space"):
        extract(archive, full)
    (tmp_path / "lfw.tgz.part").mkdir()
    with pytest.raises(DataError, match=r"can't write .*Free some space"):
        download(server.url, tmp_path / "lfw.tgz", sha256=SHA256, pause=0)
