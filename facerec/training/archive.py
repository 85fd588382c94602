"""Download the archive of a data set, with resumption and a checksum, and extract it safely."""

import gzip
import tarfile
import tempfile
import time
from http import HTTPStatus
from pathlib import Path, PurePosixPath

import httpx
from tqdm import tqdm

from facerec.inference.model_file import file_sha256
from facerec.training.crop_pictures import MAX_BYTES
from facerec.training.errors import DataError
from facerec.training.people_folder import MAX_DEPTH
from facerec.training.safe_text import printable

LFW_URL = "https://ndownloader.figshare.com/files/5976015"
"""The archive of Labeled Faces in the Wild (LFW), the version aligned by funneling: 243 MB."""

LFW_SHA256 = "b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a"
"""SHA-256 of LFW's archive in hexadecimal."""

LFW_PEOPLE = 5749
"""Number of people in LFW, by which a data set is recognized as LFW."""

LFW_PICTURES = 13_233
"""Number of pictures in LFW, by which a data set is recognized as LFW."""

DOWNLOAD_ATTEMPTS = 5
"""Number of attempts at a download in one call, each resuming where the last one stopped."""

CHUNK_BYTES = 1 << 16
"""Bytes that are read at a time from a download or an archive."""


def download(url: str, target: Path, *, sha256: str, retry_seconds: float = 2.0) -> Path:
    """Download `url` to `target` unless that file exists, and return `target`.

    An interrupted download is kept as `target.part`. This call and later ones resume at its end (range requests,
    RFC 9110).

    Args:
        url: of the file.
        target: path of the downloaded file. It is only written once the checksum has been verified.
        sha256: expected checksum in hexadecimal.
        retry_seconds: seconds to wait before the next attempt.

    Raises:
        DataError: all attempts failed, the file can't be written, or its checksum is another one.
    """
    if target.exists():
        return target
    part = target.with_name(target.name + ".part")
    for attempt in range(DOWNLOAD_ATTEMPTS):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _download_rest(url, part)
            break
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if attempt == DOWNLOAD_ATTEMPTS - 1:
                raise DataError(
                    f"can't download {url}: {error}. Run the command again to resume at byte {_size(part):,}, "
                    "or name a local copy with --data PATH."
                ) from error
            time.sleep(retry_seconds)
        except OSError as error:
            raise DataError(f"can't write {part}: {error}. Free some space, or name another --data-dir.") from error
    if (actual := file_sha256(part)) != sha256:
        part.unlink()
        raise DataError(
            f"{url} has the checksum {actual} instead of {sha256}. The download was deleted; run the command again."
        )
    return part.replace(target)


def _download_rest(url: str, part: Path) -> None:
    """Download the bytes that `part` lacks of the file at `url`.

    A server that ignores range requests sends the whole file, which then replaces `part`.

    Raises:
        httpx.HTTPError, httpx.InvalidURL: the request failed, or the connection ended early.
        OSError: `part` can't be written.
    """
    size = _size(part)
    headers = {"Range": f"bytes={size}-", "Accept-Encoding": "identity"} if size else {"Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=30) as response:
        if size and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # the part is complete already, or of another file, which its checksum will show
        response.raise_for_status()
        resumed = response.status_code == HTTPStatus.PARTIAL_CONTENT
        start = size if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(desc=f"Downloading {part.stem}", total=total, initial=start, unit="B", unit_scale=True) as bar,
        ):
            for chunk in response.iter_raw(CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) < total:
        raise httpx.ReadError(f"the connection ended at byte {_size(part):,} of {total:,}")


def extract(archive: Path, data_dir: Path) -> Path:
    """Extract `archive` to a folder below `data_dir` unless that folder exists, and return the folder.

    The folder's name contains the archive's checksum, so that another archive of the same name gets another folder.
    Members with a path outside of the folder, links to the outside and devices are refused (`tarfile`'s data filter,
    PEP 706), and so are those that claim more bytes than the archive holds, or lie too deep.

    Args:
        archive: tar archive, plain or compressed by gzip, bzip2 or xz.
        data_dir: folder of the extracted archives. It is created if missing.

    Raises:
        DataError: the archive is damaged or refused, or can't be extracted to `data_dir`.
    """
    try:
        if not archive.is_file():
            raise OSError("it is neither a folder nor a file")
        folder = data_dir / f"{archive.name.split('.')[0]}-{file_sha256(archive)[:12]}"
    except OSError as error:
        raise DataError(
            f"can't read {archive}: {error}. --data and --background name a folder of people or an archive of one."
        ) from error
    if folder.exists():
        return folder
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix=".extracting-", dir=data_dir) as unfinished,
            tarfile.open(archive) as tar,
        ):
            people = Path(unfinished) / "people"
            people.mkdir()
            for member in tqdm(tar, desc=f"Extracting {printable(archive.name)}", unit=" files"):
                _check_member(member)
                tar.extract(member, people, filter="data")
            _check_end(tar)
            return people.replace(folder)
    except Exception as error:  # tarfile and the decompressors raise errors of many kinds for damaged files
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise DataError(
                f"can't extract {archive} to {data_dir}: {error}. Free some space, or name another --data-dir."
            ) from error
        raise DataError(
            f"{archive} is damaged or not a safe tar archive: {error}. Get it again, or extract it "
            "yourself and name the folder with --data."
        ) from error


def _check_member(member: tarfile.TarInfo) -> None:
    """Refuse a sparse file of more bytes than a picture has, and a file in too many folders, by `tarfile.ReadError`."""
    if member.issparse() and member.size > MAX_BYTES:
        raise tarfile.ReadError(f"{member.name} claims {member.size:,} bytes, of which the archive lacks most")
    if len(PurePosixPath(member.name).parts) > MAX_DEPTH:
        raise tarfile.ReadError(f"{member.name[:40]}... is more than {MAX_DEPTH} folders deep")


def _check_end(tar: tarfile.TarFile) -> None:
    """Make sure that an archive which was read to its last member ends there.

    `tarfile` mistakes a damaged header for the end of the archive, and would leave out what follows.

    Raises:
        tarfile.ReadError: the last member is not followed by an empty block.
        EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, OSError: the compressed data is damaged.
    """
    assert tar.fileobj
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("the header of a member is damaged")
    while tar.fileobj.read(CHUNK_BYTES):  # the end of a compressed file holds its checksum, which reading verifies
        pass


def _size(path: Path) -> int:
    """Size of a file in bytes, 0 if it doesn't exist."""
    return path.stat().st_size if path.exists() else 0
