"""Load a data set: a folder of people, cropped to one array and cached on disk."""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.atomic_write import atomic_write
from facerec.inference.cropping import CROP_SIZE
from facerec.training.archive import LFW_PEOPLE, LFW_PICTURES, LFW_SHA256, LFW_URL, download, extract
from facerec.training.crop_pictures import PictureCropper, crop_pictures
from facerec.training.errors import DataError
from facerec.training.people_folder import people_root, relative_path, search_people, summarize_skipped

CACHE_VERSION = 8
"""Version of the cached crops. Raise it when cropping or the content of the cache changes, so that older caches are not
used."""


@dataclass(frozen=True)
class FaceDataset:
    """The M readable pictures of a data set in the order of their paths, and the I people that they show.

    Attributes:
        crops: uint8 `[M, S, S, 3]`, RGB, as a read-only memory map, or `joined.JoinedCrops`, which is read like one.
        paths: `[M]`, the path `NAME/FILE` of each picture, or `NAME/FOLDER/FILE`.
        names: `[I]`, the names of the people, sorted.
        identities: int64 `[M]`, the index into `names` of each picture.
        landmarks: float32 `[M, 5, 2]`, the points of the faces in pixels of the upright pictures, NaN where none were
            looked for, or those that were found can't be a face's.
        skipped: why a file or folder is left out, by path: it is no picture, can't be read, or is a copy.
        without_face: paths of the pictures in which the detector found no face. Their crops are their centres.
        fingerprint: SHA-256 of paths and crops in hexadecimal. It is equal if paths and crops are equal.
        others: names of those who are never known people, however many images they have.
    """

    crops: NDArray[np.uint8]
    paths: list[str]
    names: list[str]
    identities: NDArray[np.int64]
    landmarks: NDArray[np.float32]
    skipped: dict[str, str]
    without_face: list[str]
    fingerprint: str
    others: frozenset[str] = frozenset()

    def is_lfw(self) -> bool:
        """Whether this is Labeled Faces in the Wild, judged by its numbers of people and pictures."""
        return (len(self.names), len(self.paths)) == (LFW_PEOPLE, LFW_PICTURES)

    def counts(self) -> NDArray[np.int64]:
        """The number of pictures of each person, int64 `[I]`."""
        return np.bincount(self.identities, minlength=len(self.names))


def load_dataset(source: Path | None, *, data_dir: Path, cropper: PictureCropper | None = None) -> FaceDataset:
    """Load LFW or another data set, from the cache if its pictures are unchanged.

    Args:
        source: folder of people (`NAME/*.jpg`, see `search_people`) or tar archive of such a folder. `None` downloads
            LFW.
        data_dir: folder for downloads, extracted archives and cached crops.
        cropper: crops each picture. `None` takes its centre.

    Raises:
        DataError: the data set is missing or damaged, a file can't be read, or the disk is full.
    """
    if source is None:
        source = download(LFW_URL, data_dir / "lfw-funneled.tgz", sha256=LFW_SHA256)
    if not os.path.exists(source):  # noqa: PTH110 - Path.exists raises for names that are too long
        raise DataError(
            f"{source} doesn't exist: --data and --background name a folder of people or an archive of one."
        )
    root = people_root(source if source.is_dir() else extract(source, data_dir))
    pictures, skipped = search_people(root)
    if not pictures:
        raise DataError(
            f"no pictures in {source}: expected one folder per person, NAME/*.jpg, *.png, *.heic or the like."
            + (f" Left out: {summarize_skipped(skipped)}." if skipped else "")
        )
    cache = data_dir / "cache" / f"{_cache_key(root, pictures, cropper)}.npy"
    if not cache.exists():
        _write_cache(cache, root, pictures, cropper)
    dataset = _read_cache(cache)
    return replace(dataset, skipped=skipped | dataset.skipped)


def _cache_key(root: Path, pictures: list[Path], cropper: PictureCropper | None) -> str:
    """The name of the cache. It changes when a picture is added, removed, renamed or written, or cropping changes."""
    digest = hashlib.sha256(f"{CACHE_VERSION} {cropper.key() if cropper else ''}".encode())
    for picture in pictures:
        status = picture.stat()
        digest.update(f"\n{relative_path(picture, root)} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _write_cache(cache: Path, root: Path, pictures: list[Path], cropper: PictureCropper | None) -> None:
    """Write the crops to `cache`, and the other fields of the data set to a JSON file beside it.

    Args:
        cache: path of the crops, a NumPy file.
        root: the folder of people.
        pictures: paths below `root`.
        cropper: as for `load_dataset`.

    Raises:
        DataError: a picture can't be read now, the disk is full, or the folder can't be written. Nothing is left in the
            cache.
    """
    paths: list[str] = []
    landmarks: list[list[float] | None] = []
    without_face: list[str] = []
    skipped: dict[str, str] = {}
    side = cropper.cropper.crop_size if cropper else CROP_SIZE
    digest = hashlib.sha256()
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        # The crops are appended to a file because a memory map would crash the process on a full disk (SIGBUS).
        with atomic_write(cache) as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(pictures), side, side, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            for picture, result in zip(pictures, crop_pictures(pictures, root, cropper), strict=True):
                name = relative_path(picture, root)
                if isinstance(result, str):
                    skipped[name] = result
                    continue
                paths.append(name)
                points = result.landmarks
                landmarks.append(None if points is None else points.round(2).ravel().tolist())
                file.write(result.crop.data)
                digest.update(name.encode() + b"\n")
                digest.update(result.crop.data)
                if result.without_face:
                    without_face.append(name)
            if skipped:
                file.seek(0)
                np.lib.format.write_array_header_1_0(file, header | {"shape": (len(paths), side, side, 3)})
            fields = {
                "paths": paths,
                "landmarks": landmarks,
                "skipped": skipped,
                "without_face": without_face,
                "fingerprint": digest.hexdigest(),
            }
            with atomic_write(cache.with_suffix(".json")) as fields_file:
                fields_file.write(json.dumps(fields).encode())
    except OSError as error:
        needed = len(pictures) * side * side * 3 / 1e9
        raise DataError(
            f"can't write the decoded pictures ({needed:.1f} GB) to {cache.parent}: {error}. "
            "Free some space (older files in that folder can be deleted), or name another --data-dir."
        ) from error


def _read_cache(cache: Path) -> FaceDataset:
    """Read what `_write_cache` wrote.

    Raises:
        DataError: the cache is damaged, or holds no pictures because none could be read.
    """
    try:
        fields = json.loads(cache.with_suffix(".json").read_text())
        crops = np.load(cache, mmap_mode="r")
        paths: list[str] = fields["paths"]
        landmarks = np.array([points or [np.nan] * 10 for points in fields["landmarks"]], np.float32)
        skipped: dict[str, str] = fields["skipped"]
        without_face: list[str] = fields["without_face"]
        fingerprint: str = fields["fingerprint"]
        if len(crops) != len(paths):
            raise ValueError(f"{len(crops)} crops, {len(paths)} paths")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{cache} is damaged ({error}): delete it and run the command again.") from error
    if not paths:
        name, reason = next(iter(skipped.items()))
        raise DataError(f"no picture could be read, for example {name} ({reason}).")
    names, identities = np.unique([path.split("/")[0] for path in paths], return_inverse=True)
    return FaceDataset(
        crops, paths, names.tolist(), identities, landmarks.reshape(-1, 5, 2), skipped, without_face, fingerprint
    )
