"""Read a folder of people and cut one face out of each picture, in several threads."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from facerec.inference.alignment import Landmarks
from facerec.inference.cpus import available_cpus
from facerec.inference.cropping import CROP_SIZE, crop_centre
from facerec.inference.detector import FaceDetector
from facerec.inference.face_cropper import FaceCropper
from facerec.pictures.decode import PictureFile
from facerec.pictures.errors import PictureError, PictureTooLarge
from facerec.training.errors import DataError
from facerec.training.people_folder import COPY_OF, relative_path


class CroppedPicture(NamedTuple):
    """The crop of a picture."""

    crop: NDArray[np.uint8]
    """uint8 `[S, S, 3]`, RGB."""
    landmarks: Landmarks | None = None
    """The points of the face, in pixels of the upright picture. `None` where none were looked for, or found."""
    without_face: bool = False
    """Whether the detector found no face, so that the crop is the centre."""


@dataclass(frozen=True)
class PictureCropper:
    """Cuts the most prominent face out of a picture, as the service does.

    Attributes:
        cropper: of the recognizer that is trained.
        detector: finds the faces. `None` takes the face to be in the picture's centre.
    """

    cropper: FaceCropper
    detector: FaceDetector | None

    def crop(self, picture: Image.Image) -> CroppedPicture:
        """Crop an upright picture of any mode."""
        faces = self.detector.detect(picture) if self.detector else []
        cropped = self.cropper.crop_face(picture, faces[0]) if faces else self.cropper.crop_centre(picture)
        return CroppedPicture(*cropped, without_face=self.detector is not None and not faces)

    def key(self) -> str:
        """A text that differs between croppers whose crops may differ."""
        return f"{self.detector and self.detector.checksum} {self.cropper.key()}"


POOL_CHUNK_PICTURES = 256
"""Number of pictures that may be decoded ahead of writing. Their crops take 48 MB while they wait for a slow disk."""


MAX_BYTES, MAX_PIXELS = 1 << 30, 100_000_000
"""Bytes of a picture's file, and pixels that are decoded of it. A picture of that size takes up to 2 GB of memory."""


def crop_pictures(pictures: list[Path], root: Path, cropper: PictureCropper | None) -> Iterator[CroppedPicture | str]:
    """Crop the pictures in several threads, and yield the results in the order of `pictures`.

    Args:
        pictures: paths below `root`.
        root: the folder of people.
        cropper: crops a picture. `None` takes the centre of each.

    Yields:
        The crop of a picture, or why the picture is skipped.

    Raises:
        DataError: a picture can't be read now, or the memory is too small for it.
    """
    copies = _copies(pictures)

    def crop(path: Path) -> CroppedPicture | str:
        if original := copies.get(path):
            return f"{COPY_OF}{relative_path(original, root)}"
        try:
            file = PictureFile(_read(path), max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS)
            if cropper is None:
                return CroppedPicture(crop_centre(file.decode(shrink=min(file.size) // CROP_SIZE).image))
            picture = file.decode().image
        except PictureError as error:
            return str(error)
        except MemoryError as error:
            raise DataError(f"too little memory to decode {path}. Free some, or take it out of the folder.") from error
        return cropper.crop(picture)

    with (
        ThreadPoolExecutor(available_cpus()) as pool,
        tqdm(desc="Finding faces" if cropper else "Decoding pictures", total=len(pictures), unit=" pictures") as bar,
    ):
        for start in range(0, len(pictures), POOL_CHUNK_PICTURES):
            for result in pool.map(crop, pictures[start : start + POOL_CHUNK_PICTURES]):
                bar.update()
                yield result


def _read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        PictureTooLarge: they are more than `MAX_BYTES`. A file with holes may claim terabytes.
        DataError: it can't be read. The reason may be temporary, so the picture is not skipped as a broken one is.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PictureTooLarge.over(MAX_BYTES)
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"can't read {path}: {error}. Make it readable, or take it out of the folder.") from error


def _copies(pictures: list[Path]) -> dict[Path, Path]:
    """The original of each picture that has the same bytes as an earlier one.

    Copies are left out because they could be in both the training and the test images.

    Raises:
        DataError: a file can't be read.
    """
    originals: dict[bytes, Path] = {}
    copies: dict[Path, Path] = {}
    for picture in pictures:
        try:
            original = originals.setdefault(hashlib.sha256(_read(picture)).digest(), picture)
        except PictureTooLarge:  # skipped later
            continue
        if original != picture:
            copies[picture] = original
    return copies
