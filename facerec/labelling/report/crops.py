"""The faces of a report, cut upright out of their pictures as small JPEG files in data: URLs."""

import asyncio
import base64
import hashlib
import io
from collections import defaultdict
from collections.abc import Callable, Iterable

from PIL import Image

from facerec.inference.cropping import Face, crop_face
from facerec.labelling.errors import PictureFailed
from facerec.labelling.found import FoundPicture
from facerec.labelling.reading import PictureReader
from facerec.labelling.report.contents import ShownFace
from facerec.pictures.decode import PictureFile
from facerec.pictures.errors import PictureError
from facerec.pictures.fetch import FetchLimits

CROP_PIXELS = 96
"""Side of a crop."""
_FACE_PIXELS = CROP_PIXELS / 1.6
"""Side of the face's square in a crop. The rest shows hair and chin."""
_JPEG_QUALITY = 80
_TOGETHER = 8
"""Pictures that are read at the same time. Those of storages and URLs take a while to come."""


def cut_crops(
    faces: Iterable[ShownFace], limits: FetchLimits, *, max_pixels: int, on_progress: Callable[[int, int], object]
) -> dict[ShownFace, str]:
    """The data: URLs of faces. Those of pictures that are gone, have changed or can't be read are missing.

    Args:
        faces: of any pictures. Each picture is read once.
        limits: of fetching URLs. `max_bytes` is the limit of files too.
        max_pixels: pixels of a picture that are decoded.
        on_progress: is told how many pictures of how many were read.
    """
    pictures: defaultdict[tuple[str, str], list[ShownFace]] = defaultdict(list)
    for face in faces:
        pictures[face.path, face.sha256].append(face)
    return asyncio.run(_cut_all(pictures, limits, max_pixels, on_progress))


async def _cut_all(
    pictures: dict[tuple[str, str], list[ShownFace]],
    limits: FetchLimits,
    max_pixels: int,
    on_progress: Callable[[int, int], object],
) -> dict[ShownFace, str]:
    reader = PictureReader(limits, concurrency=_TOGETHER)
    crops: dict[ShownFace, str] = {}
    todo = list(pictures.items())
    try:
        for start in range(0, len(todo), _TOGETHER):
            some = todo[start : start + _TOGETHER]
            contents = await asyncio.gather(*(_read(reader, *picture) for picture, _ in some))
            for (_, faces), data in zip(some, contents, strict=True):
                if data is not None:
                    crops |= _cut(data, faces, limits.max_bytes, max_pixels)
            on_progress(start + len(some), len(todo))
    finally:
        reader.close()
    return crops


async def _read(reader: PictureReader, path: str, sha256: str) -> bytes | None:
    """The content of a picture, unless it can't be read or is no longer what was labelled."""
    try:
        data = (await reader.read(FoundPicture(path, None, None))).data
    except (PictureFailed, PictureError):
        return None
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


def _cut(data: bytes, faces: list[ShownFace], max_bytes: int, max_pixels: int) -> dict[ShownFace, str]:
    """The crops of a picture."""
    smallest = min(face.face.size for face in faces)
    try:
        file = PictureFile(data, max_bytes=max_bytes, max_pixels=max_pixels)
        picture = file.decode(shrink=max(1, int(smallest / _FACE_PIXELS)))
    except (PictureError, MemoryError):
        return {}
    return {face: _data_url(picture.image, face.face.scaled(1 / picture.shrink)) for face in faces}


def _data_url(image: Image.Image, face: Face) -> str:
    crop = Image.fromarray(crop_face(image, face, size=CROP_PIXELS, face_size=_FACE_PIXELS))
    file = io.BytesIO()
    crop.save(file, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
