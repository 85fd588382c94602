import base64
import io

import numpy as np
import pytest
from PIL import Image

from facerec.pictures.preview import PREVIEW_SIDE, preview_url


def shown(picture: Image.Image) -> Image.Image:
    """What a browser shows of the preview."""
    header, data = preview_url(picture).split(",")
    assert header == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)), formats=["JPEG"])
    image.load()
    return image


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((320, 160), (320, 160)),
        ((1600, 1600), (1600, 1600)),
        ((3200, 1000), (1600, 500)),
        ((1001, 4000), (400, 1600)),
        ((65_000, 1), (1600, 1)),
    ],
)
def test_it_has_at_most_so_many_pixels_a_side_and_is_never_enlarged(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert shown(Image.new("RGB", size, "red")).size == expected


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16"])
def test_pictures_of_every_mode_are_shown(mode: str) -> None:
    image = shown(Image.new(mode, (40, 20)))
    assert (image.mode, image.size) == ("RGB", (40, 20))


def test_transparent_pixels_are_white() -> None:
    picture = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 32, 64))
    image = shown(picture)
    assert image.getpixel((50, 32)) == pytest.approx((255, 255, 255), abs=4)
    assert image.getpixel((12, 32)) == pytest.approx((0, 0, 255), abs=4)


def test_no_metadata_is_passed_on() -> None:
    picture = Image.new("RGB", (64, 64), "red")
    picture.info |= {"comment": b"at home", "exif": b"Exif\0\0at home", "icc_profile": b"at home", "xmp": b"at home"}
    assert b"at home" not in base64.b64decode(preview_url(picture).split(",")[1])
    assert not shown(picture).info.keys() & {"comment", "exif", "icc_profile", "xmp"}


def test_the_worst_picture_gives_at_most_three_megabytes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (PREVIEW_SIDE, PREVIEW_SIDE, 3), dtype=np.uint8)
    assert 1e6 < len(preview_url(Image.fromarray(noise))) < 3e6
