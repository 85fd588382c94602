"""A folder of people becomes an array of crops, made once and kept in a cache."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from facerec.inference.cropping import CROP_SIZE, Crop, crop_centre, crop_face
from facerec.inference.detector import FaceDetector
from facerec.inference.model_file import ModelFileError
from facerec.training.archive import LFW_PEOPLE, LFW_PICTURES, LFW_SHA256, LFW_URL, download, extract
from facerec.training.errors import DataError

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
CACHE_VERSION = 5
"""To be raised when the same pictures would be cropped differently, or something else be kept beside their crops."""


@dataclass(frozen=True)
class FaceDataset:
    """All readable pictures of a data set, in the order of their paths.

    Attributes:
        crops: uint8 `[M, 250, 250, 3]`, RGB; a read-only memory map.
        paths: `[M]` `NAME/FILE` of each picture.
        names: `[I]` the people, sorted.
        identities: int64 `[M]`, index into `names` of each picture.
        skipped: pictures that can't be read, and copies of others, each with the reason.
        faceless: pictures in which a detector found no face, so that their crops are their centres.
        fingerprint: SHA-256 of paths and crops in hexadecimal, whichever files they came from.
    """

    crops: NDArray[np.uint8]
    paths: list[str]
    names: list[str]
    identities: NDArray[np.int64]
    skipped: dict[str, str]
    faceless: list[str]
    fingerprint: str

    def is_lfw(self) -> bool:
        """Whether this is Labeled Faces in the Wild, wherever it came from."""
        return (len(self.names), len(self.paths)) == (LFW_PEOPLE, LFW_PICTURES)

    def counts(self) -> NDArray[np.int64]:
        """int64 `[I]`, the number of pictures of each person."""
        return np.bincount(self.identities, minlength=len(self.names))


def load_dataset(source: Path | None, *, data_dir: Path, detector: FaceDetector | None = None) -> FaceDataset:
    """Load a data set: LFW by default, or any archive or folder of people (`NAME/*.jpg|png|webp`).

    Args:
        source: a local archive or folder; None downloads LFW.
        data_dir: where downloads, extracted archives and crops are kept.
        detector: cuts the most prominent face out of each picture, as the service does; None takes its centre.

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
    cache = data_dir / "cache" / f"{_cache_key(root, pictures, detector)}.npy"
    if not cache.exists():
        _write_cache(cache, root, pictures, detector)
    return _read_cache(cache)


def load_detector(path: Path) -> FaceDetector:
    """The face detector that crops the training pictures.

    Raises:
        DataError: the file at `path` can't be used.
    """
    try:
        return FaceDetector.load(path, threads=1)
    except ModelFileError as error:
        raise DataError(f"{error}. --detector names a face detector's file; --crop-mode centre needs none.") from error


def _people_root(folder: Path) -> Path:
    """The folder that holds the people: archives often wrap it in another one."""
    while True:
        inside = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        if len(inside) != 1 or not any(path.is_dir() for path in inside[0].iterdir()):
            return folder
        folder = inside[0]


def _cache_key(root: Path, pictures: list[Path], detector: FaceDetector | None) -> str:
    """Changes whenever a picture is added, removed, renamed or written, or cropping changes."""
    digest = hashlib.sha256(f"{CACHE_VERSION} {CROP_SIZE} {detector.checksum if detector else ''}".encode())
    for picture in pictures:
        status = picture.stat()
        digest.update(f"\n{_name(picture, root)} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _name(picture: Path, root: Path) -> str:
    """`NAME/FILE`; bytes that are not UTF-8, which file systems allow, are written in hexadecimal."""
    return os.fsencode(picture.relative_to(root).as_posix()).decode(errors="backslashreplace")


def _copies(pictures: list[Path]) -> dict[Path, Path]:
    """The pictures whose bytes are those of an earlier one, each with that one: both train and test would hold them."""
    first: dict[bytes, Path] = {}
    copies: dict[Path, Path] = {}
    for picture in pictures:
        try:
            content = picture.read_bytes()
        except OSError as error:  # which may have passed by the next run, while a broken picture stays one
            raise DataError(
                f"can't read {picture}: {error}. Make it readable, or take it out of the folder."
            ) from error
        original = first.setdefault(hashlib.sha256(content).digest(), picture)
        if original != picture:
            copies[picture] = original
    return copies


def _write_cache(cache: Path, root: Path, pictures: list[Path], detector: FaceDetector | None) -> None:
    """Crops go to `cache`, their paths and what is to be said of some to a JSON file beside it."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    unfinished = cache.with_suffix(f".{os.getpid()}.unfinished")
    paths: list[str] = []
    faceless: list[str] = []
    skipped: dict[str, str] = {}
    digest = hashlib.sha256()
    try:
        # Written in sequence, not through a memory map: a full disk is then an error instead of a crash (SIGBUS).
        with unfinished.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(pictures), CROP_SIZE, CROP_SIZE, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            for picture, cropped in zip(pictures, _crops(pictures, root, detector), strict=True):
                name = _name(picture, root)
                if isinstance(cropped, str):
                    skipped[name] = cropped
                    continue
                crop, faced = cropped
                paths.append(name)
                file.write(crop.data)
                digest.update(name.encode() + b"\n")
                digest.update(crop.data)
                if not faced:
                    faceless.append(name)
            if skipped:
                file.seek(0)
                np.lib.format.write_array_header_1_0(file, header | {"shape": (len(paths), CROP_SIZE, CROP_SIZE, 3)})
        listed = {"paths": paths, "skipped": skipped, "faceless": faceless, "fingerprint": digest.hexdigest()}
        cache.with_suffix(".json").write_text(json.dumps(listed))
        unfinished.replace(cache)
    except OSError as error:
        needed = len(pictures) * CROP_SIZE * CROP_SIZE * 3 / 1e9
        raise DataError(
            f"can't write the decoded pictures ({needed:.1f} GB) to {cache.parent}: {error}. "
            "Free some space; files there that are older can go."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _crops(pictures: list[Path], root: Path, detector: FaceDetector | None) -> Iterator[tuple[Crop, bool] | str]:
    """The crop of each picture in order and whether it has its face, or why the picture is skipped."""
    copies = _copies(pictures)

    def crop(path: Path) -> tuple[Crop, bool] | str:
        if original := copies.get(path):
            return f"a copy of {_name(original, root)}"
        try:
            with Image.open(path) as picture:
                if detector is None:
                    return crop_centre(picture), True
                ImageOps.exif_transpose(picture, in_place=True)
                detected = detector.detect(picture)
                return (crop_face(picture, detected[0]), True) if detected else (crop_centre(picture), False)
        except Exception as error:
            return str(error).replace(str(path), path.name) or type(error).__name__

    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(desc="Finding faces" if detector else "Decoding pictures", total=len(pictures), unit=" pictures") as bar,
    ):
        for start in range(0, len(pictures), 256):  # so that a slow disk doesn't let crops pile up
            for cropped in pool.map(crop, pictures[start : start + 256]):
                bar.update()
                yield cropped


def _read_cache(cache: Path) -> FaceDataset:
    try:
        listed = json.loads(cache.with_suffix(".json").read_text())
        crops = np.load(cache, mmap_mode="r")
        paths: list[str] = listed["paths"]
        fingerprint: str = listed["fingerprint"]
        if len(crops) != len(paths):
            raise ValueError(f"{len(crops)} crops, {len(paths)} paths")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{cache} is damaged ({error}): delete it and run the command again.") from error
    if not paths:
        raise DataError(f"not one picture could be read, for example {next(iter(listed['skipped'].items()))}.")
    names, identities = np.unique([path.split("/")[0] for path in paths], return_inverse=True)
    return FaceDataset(crops, paths, names.tolist(), identities, listed["skipped"], listed["faceless"], fingerprint)
