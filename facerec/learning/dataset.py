"""A folder of people becomes an array of frames, decoded once and kept in a cache."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from facerec.framing import FRAME_SIZE, Frame, centre_frame
from facerec.learning.archive import LFW_PEOPLE, LFW_PICTURES, LFW_SHA256, LFW_URL, download, extract
from facerec.learning.errors import DataError

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
CACHE_VERSION = 2
"""To be raised when the same pictures would be framed differently."""


@dataclass(frozen=True)
class FaceImages:
    """All readable pictures of a data set, in the order of their paths.

    Attributes:
        frames: uint8 `[M, 250, 250, 3]`, RGB; a read-only memory map.
        paths: `[M]` `NAME/FILE` of each picture.
        names: `[I]` the people, sorted.
        identities: int64 `[M]`, index into `names` of each picture.
        unreadable: pictures that were skipped, each with the reason.
        fingerprint: changes with any picture.
    """

    frames: NDArray[np.uint8]
    paths: list[str]
    names: list[str]
    identities: NDArray[np.int64]
    unreadable: dict[str, str]
    fingerprint: str

    def is_lfw(self) -> bool:
        """Whether this is Labeled Faces in the Wild, wherever it came from."""
        return (len(self.names), len(self.paths)) == (LFW_PEOPLE, LFW_PICTURES)

    def counts(self) -> NDArray[np.int64]:
        """int64 `[I]`, the number of pictures of each person."""
        return np.bincount(self.identities, minlength=len(self.names))


def load_faces(source: Path | None, *, data_dir: Path) -> FaceImages:
    """Load a data set: LFW by default, or any archive or folder of people (`NAME/*.jpg|png|webp`).

    Args:
        source: a local archive or folder; None downloads LFW.
        data_dir: where downloads, extracted archives and decoded frames are kept.

    Raises:
        DataError: it isn't there, can't be used, or doesn't fit on the disk.
    """
    if source is None:
        source = download(LFW_URL, data_dir / "lfw-funneled.tgz", sha256=LFW_SHA256)
    if not source.exists():
        raise DataError(f"{source} doesn't exist: --data names an archive or a folder of people.")
    root = _people_root(source if source.is_dir() else extract(source, data_dir))
    pictures = sorted(
        path for path in root.glob("[!.]*/[!.]*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()
    )
    if not pictures:
        raise DataError(f"no pictures in {source}: expected one folder per person, NAME/*.jpg, *.png or *.webp.")
    cache = data_dir / "cache" / f"{_cache_key(root, pictures)}.npy"
    if not cache.exists():
        _write_cache(cache, root, pictures)
    return _read_cache(cache)


def _people_root(folder: Path) -> Path:
    """The folder that holds the people: archives often wrap it in another one."""
    while True:
        inside = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        if len(inside) != 1 or not any(path.is_dir() for path in inside[0].iterdir()):
            return folder
        folder = inside[0]


def _cache_key(root: Path, pictures: list[Path]) -> str:
    """Changes whenever a picture is added, removed, renamed or written, or framing changes."""
    digest = hashlib.sha256(f"{CACHE_VERSION} {FRAME_SIZE}".encode())
    for picture in pictures:
        status = picture.stat()
        digest.update(f"\n{_name(picture, root)} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _name(picture: Path, root: Path) -> str:
    """`NAME/FILE`; bytes that are not UTF-8, which file systems allow, are replaced."""
    return os.fsencode(picture.relative_to(root).as_posix()).decode(errors="replace")


def _write_cache(cache: Path, root: Path, pictures: list[Path]) -> None:
    """Frames go to `cache`, their paths and the unreadable pictures to a JSON file beside it."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    unfinished = cache.with_suffix(f".{os.getpid()}.unfinished")
    paths: list[str] = []
    unreadable: dict[str, str] = {}
    try:
        # Written in sequence, not through a memory map: a full disk is then an error instead of a crash (SIGBUS).
        with unfinished.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(pictures), FRAME_SIZE, FRAME_SIZE, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            for picture, frame in zip(pictures, _decode(pictures), strict=True):
                name = _name(picture, root)
                if isinstance(frame, str):
                    unreadable[name] = frame
                else:
                    paths.append(name)
                    file.write(frame.data)
            if unreadable:
                file.seek(0)
                np.lib.format.write_array_header_1_0(file, header | {"shape": (len(paths), FRAME_SIZE, FRAME_SIZE, 3)})
        cache.with_suffix(".json").write_text(json.dumps({"paths": paths, "unreadable": unreadable}))
        unfinished.replace(cache)
    except OSError as error:
        needed = len(pictures) * FRAME_SIZE * FRAME_SIZE * 3 / 1e9
        raise DataError(f"can't write the decoded pictures ({needed:.1f} GB) to {cache.parent}: {error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _decode(pictures: list[Path]) -> Iterator[Frame | str]:
    """The frame of each picture in order, or why it can't be read."""

    def decode(path: Path) -> Frame | str:
        try:
            with Image.open(path) as picture:
                return centre_frame(picture)
        except Exception as error:
            return str(error) or type(error).__name__

    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(desc="Decoding pictures", total=len(pictures), unit=" pictures") as bar,
    ):
        for start in range(0, len(pictures), 256):  # so that a slow disk doesn't let decoded frames pile up
            for frame in pool.map(decode, pictures[start : start + 256]):
                bar.update()
                yield frame


def _read_cache(cache: Path) -> FaceImages:
    try:
        listed = json.loads(cache.with_suffix(".json").read_text())
        frames = np.load(cache, mmap_mode="r")
        paths: list[str] = listed["paths"]
        if len(frames) != len(paths):
            raise ValueError(f"{len(frames)} frames, {len(paths)} paths")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{cache} is damaged ({error}): delete it and run the command again.") from error
    if not paths:
        raise DataError(f"not one picture could be read, for example {next(iter(listed['unreadable'].items()))}.")
    names, identities = np.unique([path.split("/")[0] for path in paths], return_inverse=True)
    return FaceImages(frames, paths, names.tolist(), identities, listed["unreadable"], cache.stem)
