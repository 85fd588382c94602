"""The pictures that are sent: crops of LFW where its archive is at hand, drawn faces where not, and photos of them."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.drawn_people import draw_person

ROOT = Path(__file__).parents[1]
LFW = Path(os.environ.get("LFW", ROOT / "data/lfw-funneled.tgz"))


def crops(count: int) -> list[bytes]:
    """JPEG files of 250 x 250 pixels, each of another person; LFW's are the archive's own bytes."""
    if not LFW.exists():
        return [_file(draw_person(person, 0), "JPEG") for person in range(count)]
    found: dict[str, bytes] = {}
    with tarfile.open(LFW, "r|gz") as archive:
        for member in archive:
            person = Path(member.name).parent.name
            file = archive.extractfile(member) if member.name.endswith(".jpg") and person not in found else None
            if file:
                found[person] = file.read()
            if len(found) == count:
                break
    return list(found.values())


def photo(crop: bytes, width: int, height: int, file_format: str = "JPEG") -> bytes:
    """A photo with `crop` as its central square, in front of smooth colours.

    A sensor's noise lies over all of it, without which the file would be a fraction of what cameras write: as a JPEG,
    12 megapixels make 3.6 MB.
    """
    random = np.random.default_rng(0)
    background = Image.fromarray(random.integers(60, 200, (6, 8, 3), dtype=np.uint8))
    picture = background.resize((width, height), Image.Resampling.BICUBIC)
    side = min(width, height)
    face = Image.open(io.BytesIO(crop)).resize((side, side), Image.Resampling.BICUBIC)
    picture.paste(face, ((width - side) // 2, (height - side) // 2))
    noise = 7 * random.standard_normal((height, width, 1), dtype=np.float32)
    return _file(Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8)), file_format)


def _file(picture: Image.Image, file_format: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, file_format, quality=90)
    return file.getvalue()
