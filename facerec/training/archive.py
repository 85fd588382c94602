"""The data set's archive: downloaded once, resumed where it was cut off, verified, and extracted safely."""

import gzip
import lzma
import tarfile
import tempfile
import time
import zlib
from pathlib import Path

import requests
from tqdm import tqdm

from facerec.inference.model_file import file_sha256
from facerec.training.errors import DataError

LFW_URL = "https://ndownloader.figshare.com/files/5976015"
LFW_SHA256 = "b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a"
LFW_PEOPLE, LFW_PICTURES = 5749, 13_233
ATTEMPTS = 5
CHUNK = 1 << 16


def download(url: str, target: Path, *, sha256: str, pause: float = 2.0) -> Path:
    """Download `url` to `target` unless it is there already, and return `target`.

    A cut-off download stays as `target.part`; this call or a later one goes on from its end (RFC 9110, range requests).

    Args:
        url: where the file is.
        target: where it goes; written only once its checksum is right.
        sha256: the checksum it must have, in hexadecimal.
        pause: seconds to wait before another attempt.

    Raises:
        DataError: the file can't be had, or isn't the one expected.
    """
    if target.exists():
        return target
    part = target.with_name(target.name + ".part")
    for attempt in range(ATTEMPTS):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _download_rest(url, part)
            break
        except requests.RequestException as error:
            if attempt == ATTEMPTS - 1:
                raise DataError(
                    f"can't download {url}: {error}. Run the command again to go on from byte "
                    f"{_size(part):,}, or name a local copy with --data PATH."
                ) from error
            time.sleep(pause)
        except OSError as error:
            raise DataError(f"can't write {part}: {error}. Free some space and run the command again.") from error
    if (actual := file_sha256(part)) != sha256:
        part.unlink()
        raise DataError(f"{url} has the checksum {actual} instead of {sha256}: deleted it. Run the command again.")
    return part.replace(target)


def _download_rest(url: str, part: Path) -> None:
    have = _size(part)
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, stream=True, timeout=30) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # complete already; the checksum tells
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        start = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(desc=f"Downloading {part.stem}", total=total, initial=start, unit="B", unit_scale=True) as bar,
        ):
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) < total:
        raise requests.ConnectionError(f"the connection ended at byte {_size(part):,} of {total:,}")


def extract(archive: Path, into: Path) -> Path:
    """Extract `archive` to a folder of its own below `into`, unless it is there already, and return that folder.

    The folder's name carries the archive's checksum, so another archive never passes for this one. Members that would
    leave the folder, links out of it and devices are refused (`tarfile`'s data filter, PEP 706).

    Raises:
        DataError: the archive is damaged or refused.
    """
    folder = into / f"{archive.name.split('.')[0]}-{file_sha256(archive)[:12]}"
    if folder.exists():
        return folder
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".extracting-", dir=into) as unfinished, tarfile.open(archive) as tar:
            people = Path(unfinished) / "people"
            people.mkdir()
            for member in tqdm(tar, desc=f"Extracting {archive.name}", unit=" files"):
                tar.extract(member, people, filter="data")
            _check_end(tar)
            return people.replace(folder)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise DataError(
            f"{archive} is damaged or not a safe tar archive: {error}. Get it again, or extract it and name the folder."
        ) from error
    except OSError as error:
        raise DataError(
            f"can't extract {archive} to {into}: {error}. Free some space, or name another --data-dir."
        ) from error


def _check_end(tar: tarfile.TarFile) -> None:
    """Raise unless `tar`, read to its last member, ends there: `tarfile` takes a damaged header for the end."""
    assert tar.fileobj
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("a member's header is broken")
    while tar.fileobj.read(CHUNK):  # at its end a compressed file has a checksum
        pass


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
