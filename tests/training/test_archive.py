import bz2
import gzip
import hashlib
import io
import lzma
import random
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from facerec.training.archive import CHUNK_BYTES, download, extract
from facerec.training.dataset import load_dataset
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


def write_members(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """A tar archive of one picture of Ann, and of other members."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for member, content in ((tarfile.TarInfo("people/Ann/1.jpg"), b"one"), *members):
            member.size = max(member.size, len(content))
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def sparse_member(claimed: int) -> tuple[tarfile.TarInfo, bytes]:
    """A file of 512 bytes and a hole (GNU tar, "PAX Format, Version 1.0")."""
    made = member("people/Ann/GNUSparseFile.0/huge.jpg")
    made.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "people/Ann/huge.jpg",
        "GNU.sparse.realsize": str(claimed),
    }
    return made, b"1\n0\n512\n".ljust(512, b"\0") + b"x" * 512


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        ((member("people/Ann/x.jpg", tarfile.LNKTYPE, "people/gone.jpg"), b""), "not found"),
        ((member("people/Ann/x.jpg", tarfile.SYMTYPE, "/etc/passwd"), b""), "absolute path"),
        ((member("people/Ann/x.jpg", tarfile.SYMTYPE, "../../../x.jpg"), b""), "outside"),
        ((member("people/Ann/x.jpg", tarfile.CHRTYPE), b""), "special file"),
        ((member("people/Ann/x.jpg", tarfile.FIFOTYPE), b""), "special file"),
        ((member("../x.jpg"), b""), "outside"),
        ((member("people/Ann/" + 1500 * "d/" + "x.jpg"), b""), "more than 32 folders deep"),
        (sparse_member(5 * 10**12), r"huge\.jpg claims 5,000,000,000,000 bytes"),
    ],
)
def test_hostile_members_are_refused(hostile: tuple[tarfile.TarInfo, bytes], message: str, tmp_path: Path) -> None:
    archive = write_members(tmp_path / "hostile.tar", hostile)
    with pytest.raises(DataError, match=f"not a safe tar archive: .*{message}.* name the folder with --data"):
        extract(archive, tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_an_absolute_path_is_extracted_below_the_folder(tmp_path: Path) -> None:
    archive = write_members(tmp_path / "absolute.tar", (member(str(tmp_path / "outside.jpg")), b"two"))
    folder = extract(archive, tmp_path / "data")
    assert not (tmp_path / "outside.jpg").exists()
    assert folder.joinpath(*(tmp_path / "outside.jpg").parts[1:]).read_bytes() == b"two"


def test_sparse_members_of_a_pictures_size_are_extracted(tmp_path: Path) -> None:
    folder = extract(write_members(tmp_path / "sparse.tar", sparse_member(5_000)), tmp_path / "data")
    assert (folder / "people/Ann/huge.jpg").read_bytes() == b"x" * 512 + bytes(4_488)


def test_a_member_that_claims_more_bytes_than_there_are_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "claims.tar"
    huge = member("people/Ann/huge.jpg")
    huge.size = 5 * 10**12
    archive.write_bytes(huge.tobuf(tarfile.GNU_FORMAT) + b"x" * 2_000)
    with pytest.raises(DataError, match="unexpected end of data"):
        extract(archive, tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_a_link_to_nowhere_is_skipped_and_a_loop_ends(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(picture := io.BytesIO(), "PNG")
    archive = write_members(
        tmp_path / "links.tar",
        (member("people/Ann/2.png"), picture.getvalue()),
        (member("people/Bob/gone.jpg", tarfile.SYMTYPE, "nowhere.jpg"), b""),
        (member("people/Bob/loop", tarfile.SYMTYPE, ".."), b""),
    )
    dataset = load_dataset(archive, data_dir=tmp_path / "data")
    assert dataset.paths == ["Ann/2.png"]
    assert dataset.skipped.keys() == {"Ann/1.jpg", "Bob/gone.jpg", "Bob/loop"}
    assert dataset.skipped["Bob/gone.jpg"] == "a link to nowhere"


@pytest.mark.skipif(sys.platform != "linux", reason="needs files that other systems lack")
@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/mem"])
def test_an_archive_that_can_not_be_read_is_an_error(path: str, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=f"can't read {path}: .*--data and --background name a folder of people or an archive"
    ):
        load_dataset(Path(path), data_dir=tmp_path / "data")
