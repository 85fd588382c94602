import math

import numpy as np
import pytest
from PIL import Image

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Crop, Face, crop_centre, crop_face
from facerec.pictures.colour_modes import to_rgb


def colour_at(picture: Image.Image, *, x: int = 125, y: int = 125) -> tuple[int, ...]:
    return tuple(int(value) for value in crop_centre(picture)[y, x])


def test_a_crop_of_the_right_size_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    assert np.array_equal(crop_centre(Image.fromarray(pixels)), pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (249, 251), (1000, 600), (600, 1000), (251, 250)])
def test_every_picture_becomes_a_crop(size: tuple[int, int]) -> None:
    crop = crop_centre(Image.new("RGB", size, "teal"))
    assert crop.shape == (250, 250, 3)
    assert crop.dtype == np.uint8
    assert crop[125, 125].tolist() == [0, 128, 128]


def test_the_centre_is_kept() -> None:
    picture = Image.new("RGB", (1000, 500), "red")
    picture.paste("blue", (250, 0, 750, 500))
    crop = crop_centre(picture)
    assert crop[125, 10].tolist() == crop[125, 240].tolist() == [0, 0, 255]


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


# The crop of a face


def smooth(size: int = CROP_SIZE) -> Image.Image:
    """A picture without sharp edges: rotating and scaling it loses next to nothing."""
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(7 * x + 1), np.cos(5 * y), np.sin(4 * (x - y))]
    return Image.fromarray((127 + 120 * np.stack(waves, axis=2)).astype(np.uint8))


def face(*, size: float = FACE_SIZE, degrees: float = 0, x: float = 125, y: float = 125) -> Face:
    return Face(x, y, size, math.radians(degrees), 1)


def difference(crop: Crop, other: Crop) -> int:
    """The largest of any pixel's value, away from the corners that a rotated picture has lost."""
    inner = slice(45, -45)
    return int(np.abs(crop[inner, inner].astype(int) - other[inner, inner]).max())


def test_a_face_that_is_cropped_already_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    assert np.array_equal(crop_face(Image.fromarray(pixels), face()), pixels)


def test_a_face_is_cut_out_where_it_is() -> None:
    picture = Image.new("RGB", (900, 700), "white")
    picture.paste(smooth(), (400, 300))
    assert np.array_equal(crop_face(picture, face(x=525, y=425)), np.asarray(smooth()))


@pytest.mark.parametrize("degrees", [-90, -30, 10, 45, 180])
def test_the_rotation_of_a_face_is_undone(degrees: float) -> None:
    turned = smooth().rotate(-degrees, Image.Resampling.BICUBIC)  # Pillow counts counter-clockwise
    assert difference(crop_face(turned, face(degrees=degrees)), np.asarray(smooth())) <= 4


@pytest.mark.parametrize("scale", [0.3, 0.9, 1.7, 2, 3.9, 8])
def test_small_and_large_faces_fill_the_crop_alike(scale: float) -> None:
    side = round(CROP_SIZE * scale)
    picture = smooth().resize((side, side), Image.Resampling.BICUBIC)
    crop = crop_face(picture, face(size=FACE_SIZE * scale, x=side / 2, y=side / 2))
    assert difference(crop, np.asarray(smooth())) <= 6


def test_outside_of_the_picture_is_black() -> None:
    white = Image.new("RGB", (CROP_SIZE, CROP_SIZE), "white")
    crop = crop_face(white, face(x=0, y=125))
    assert not crop[:, :120].any()
    assert crop[:, 130:].min() == 255
    for elsewhere in (face(x=-1e6), face(y=2000), face(x=1e9, size=1e3)):
        assert not crop_face(white, elsewhere).any()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I"])
@pytest.mark.parametrize("size", [FACE_SIZE, 4 * FACE_SIZE])
def test_a_face_in_every_mode_is_rgb(mode: str, size: float) -> None:
    light: object = {"I;16": 65535, "I": 65535, "CMYK": (0, 0, 0, 0), "LA": (255, 255), "RGBA": (255,) * 4}.get(
        mode, 255
    )
    picture = Image.new(mode, (1000, 1000), light)  # type: ignore[arg-type]
    if mode == "P":
        picture = Image.new("RGB", (1000, 1000), "white").convert("P")
    crop = crop_face(picture, face(size=size, x=500, y=500))
    assert crop.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert crop.min() >= 254


def test_around_a_transparent_face_it_is_white() -> None:
    assert crop_face(Image.new("RGBA", (250, 250)), face()).min() == 255


@pytest.mark.parametrize(
    ("x", "size", "overlap"), [(50, 20, 1), (60, 20, 1 / 3), (70, 20, 0), (50, 10, 0.25), (300, 20, 0)]
)
def test_overlap(x: float, size: float, overlap: float) -> None:
    assert Face(50, 50, 20, 0, 1).iou(Face(x, 50, size, 0, 1)) == pytest.approx(overlap)


@pytest.mark.parametrize("scale", [0.5, 1, 3])
def test_a_crop_of_another_size_shows_the_same(scale: float) -> None:
    side = round(CROP_SIZE * scale)
    picture = smooth().resize((side, side), Image.Resampling.BICUBIC)
    turned = face(size=FACE_SIZE * scale, x=side / 2, y=side / 2, degrees=20)
    crop = crop_face(picture, turned, size=60, face_size=40)
    half = CROP_SIZE * 30 / 40 / 2.2  # what the crop reaches of a crop of the default size
    expected = Image.fromarray(crop_face(picture, turned)).resize(
        (60, 60), Image.Resampling.BILINEAR, (125 - half, 125 - half, 125 + half, 125 + half)
    )
    assert crop.shape == (60, 60, 3)
    assert np.abs(crop.astype(int) - np.asarray(expected).astype(int)).max() <= 4
