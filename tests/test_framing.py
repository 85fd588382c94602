import io

import numpy as np
import pytest
from PIL import Image

from facerec.framing import FRAME_SIZE, frame_picture, to_rgb


def colour_at(picture: Image.Image, *, x: int = 125, y: int = 125) -> tuple[int, ...]:
    return tuple(int(value) for value in frame_picture(picture)[y, x])


def test_a_frame_of_the_right_size_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (FRAME_SIZE, FRAME_SIZE, 3), dtype=np.uint8)
    assert np.array_equal(frame_picture(Image.fromarray(pixels)), pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (249, 251), (1000, 600), (600, 1000), (251, 250)])
def test_every_picture_becomes_a_frame(size: tuple[int, int]) -> None:
    frame = frame_picture(Image.new("RGB", size, "teal"))
    assert frame.shape == (250, 250, 3)
    assert frame.dtype == np.uint8
    assert frame[125, 125].tolist() == [0, 128, 128]


def test_the_centre_is_kept() -> None:
    picture = Image.new("RGB", (1000, 500), "red")
    picture.paste("blue", (250, 0, 750, 500))
    frame = frame_picture(picture)
    assert frame[125, 10].tolist() == frame[125, 240].tolist() == [0, 0, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    upright = Image.new("RGB", (250, 250), "white")
    upright.paste("red", (0, 0, 125, 60))  # at the top left
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, "PNG", exif=exif)
    assert colour_at(Image.open(file), x=20, y=20) == (255, 0, 0)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 200, (200, 200, 200)),
        ("1", 1, (255, 255, 255)),
        ("LA", (0, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("I;16", 200 * 256, (200, 200, 200)),
        ("I", 200 * 256, (200, 200, 200)),
        ("F", 200.0, (200, 200, 200)),
    ],
)
def test_every_mode_becomes_rgb(mode: str, colour: object, expected: tuple[int, ...]) -> None:
    picture = to_rgb(Image.new(mode, (9, 9), colour))  # type: ignore[arg-type]
    assert picture.mode == "RGB"
    assert picture.getpixel((4, 4)) == expected


def test_a_transparent_palette() -> None:
    picture = Image.new("P", (250, 250), 0)
    picture.putpalette([0, 0, 0, 9, 9, 9])
    picture.info["transparency"] = 0
    assert colour_at(picture) == (255, 255, 255)


def test_a_large_jpeg_is_decoded_at_reduced_scale() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4000, 3000), "teal").save(file, "JPEG")
    picture = Image.open(file)
    assert colour_at(picture) == pytest.approx((0, 128, 128), abs=3)
    assert picture.size == (1000, 750)
