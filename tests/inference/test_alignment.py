import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.alignment import Landmarks, crop_aligned, fit_similarity, landmarks_plausible
from facerec.inference.cropping import Face

SIZE = 150
REFERENCE = np.array([(110.0, 46.0), (90.0, 48.0), (37.0, 46.0), (58.0, 48.0), (74.0, 88.0)])
"""Five points of a face in a crop of 150 pixels."""

POINTS = arrays(np.float64, (5, 2), elements=st.floats(-300, 300))


def similarity(*, scale: float = 1, degrees: float = 0, x: float = 0, y: float = 0) -> NDArray[np.float64]:
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[cos, -sin, x], [sin, cos, y]])


def moved(points: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ by[:, :2].T + by[:, 2]


def spread(points: NDArray[np.float64]) -> float:
    return float(np.ptp(points, axis=0).max())


# The similarity


@given(
    POINTS,
    st.floats(0.01, 100),
    st.floats(-180, 180),
    st.floats(-1000, 1000),
    st.floats(-1000, 1000),
)
def test_the_similarity_between_moved_points_is_found_again(
    points: NDArray[np.float64], scale: float, degrees: float, x: float, y: float
) -> None:
    assume(spread(points) > 1)
    expected = similarity(scale=scale, degrees=degrees, x=x, y=y)
    assert fit_similarity(points, moved(points, expected)) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(POINTS, POINTS)
def test_the_similarity_is_the_one_of_least_squares_and_never_reflects(
    source: NDArray[np.float64], target: NDArray[np.float64]
) -> None:
    assume(spread(source) > 1)
    fitted = fit_similarity(source, target)
    # The same as a linear system: x' = a x - b y + c and y' = b x + a y + d.
    ones, zeros = np.ones(5), np.zeros(5)
    rows = np.concatenate([
        np.stack([source[:, 0], -source[:, 1], ones, zeros], axis=1),
        np.stack([source[:, 1], source[:, 0], zeros, ones], axis=1),
    ])  # fmt: skip
    a, b, c, d = np.linalg.lstsq(rows, target.T.ravel())[0]
    assert fitted == pytest.approx(np.array([[a, -b, c], [b, a, d]]), rel=1e-6, abs=1e-5)
    assert np.linalg.det(fitted[:, :2]) >= 0


def test_mirrored_points_are_turned_and_shrunk_but_not_reflected() -> None:
    fitted = fit_similarity(REFERENCE, REFERENCE * (-1, 1))
    assert fitted[0, 0] == fitted[1, 1]
    assert fitted[0, 1] == -fitted[1, 0]
    assert np.linalg.det(fitted[:, :2]) < 0.5


# The crop


def smooth(size: int = SIZE) -> Image.Image:
    """A picture without sharp edges: rotating and scaling it loses next to nothing."""
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(7 * x + 1), np.cos(5 * y), np.sin(4 * (x - y))]
    return Image.fromarray((127 + 120 * np.stack(waves, axis=2)).astype(np.uint8))


def crop(picture: Image.Image, landmarks: Landmarks) -> NDArray[np.uint8]:
    return crop_aligned(picture, landmarks, REFERENCE, SIZE)


def difference(result: NDArray[np.uint8], other: Image.Image) -> int:
    """The largest of any pixel's value, away from the corners that a rotated picture has lost."""
    inner = slice(27, -27)
    return int(np.abs(result[inner, inner].astype(int) - np.asarray(other)[inner, inner]).max())


def test_a_face_that_is_aligned_already_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    result = crop(Image.fromarray(pixels), REFERENCE)
    assert np.abs(result.astype(int) - pixels).max() <= 1  # Pillow rounds down, the similarity is exact to 1e-15


def test_a_face_is_cut_out_where_it_is() -> None:
    picture = Image.new("RGB", (900, 700), "white")
    picture.paste(smooth(), (400, 300))
    assert difference(crop(picture, REFERENCE + np.array((400, 300))), smooth()) <= 1


@pytest.mark.parametrize("degrees", [-90, -30, 10, 45, 180])
def test_the_rotation_of_a_face_is_undone(degrees: float) -> None:
    turned = smooth().rotate(-degrees, Image.Resampling.BICUBIC)  # Pillow counts counter-clockwise
    landmarks = moved(REFERENCE - SIZE / 2, similarity(degrees=degrees)) + SIZE / 2
    assert difference(crop(turned, landmarks), smooth()) <= 4


@pytest.mark.parametrize("scale", [0.3, 0.9, 1.1, 1.7, 2, 3.9, 8, 20])
def test_small_and_large_faces_fill_the_crop_alike(scale: float) -> None:
    side = round(SIZE * scale)
    picture = smooth().resize((side, side), Image.Resampling.BICUBIC)
    assert difference(crop(picture, REFERENCE * side / SIZE), smooth()) <= 4


@pytest.mark.parametrize("scale", [2, 2.7, 3.9, 4, 5.5, 20])
def test_details_finer_than_the_crop_are_averaged(scale: float) -> None:
    side = round(SIZE * scale)
    stripes = np.zeros((side, side, 3), np.uint8)
    stripes[::2] = 255
    inner = crop(Image.fromarray(stripes), REFERENCE * scale)[3:-3, 3:-3].astype(int)
    assert np.abs(inner - 127).max() <= 32


def test_outside_of_the_picture_is_black() -> None:
    white = Image.new("RGB", (SIZE, SIZE), "white")
    result = crop(white, REFERENCE - (75, 0))
    assert not result[:, :74].any()
    assert result[:, 76:].min() == 255
    for elsewhere in (REFERENCE - 1e6, REFERENCE + np.array((0, 2000)), 1e3 * REFERENCE + 1e9):
        assert not crop(white, elsewhere).any()


def test_a_face_far_larger_than_its_picture_takes_no_more_memory_than_the_crop() -> None:
    assert crop(Image.new("RGB", (40, 40), "white"), 1e6 * REFERENCE).shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I"])
@pytest.mark.parametrize("scale", [1, 4])
def test_a_face_in_every_mode_is_rgb(mode: str, scale: int) -> None:
    light: object = {"I;16": 65535, "I": 65535, "CMYK": (0, 0, 0, 0), "LA": (255, 255), "RGBA": (255,) * 4}.get(
        mode, 255
    )
    picture = Image.new(mode, (700, 700), light)  # type: ignore[arg-type]
    if mode == "P":
        picture = Image.new("RGB", (700, 700), "white").convert("P")
    result = crop(picture, REFERENCE * scale + 20)
    assert result.shape == (SIZE, SIZE, 3)
    assert result.dtype == np.uint8
    assert result.min() >= 254


def test_around_a_transparent_face_it_is_white() -> None:
    assert crop(Image.new("RGBA", (SIZE, SIZE)), REFERENCE).min() == 255


# Points that make no sense


FACE = Face(x=74, y=70, size=140, angle=0, score=1)
"""The face whose points are `REFERENCE`."""


@pytest.mark.parametrize("degrees", [-170, -90, 0, 30, 120])
@pytest.mark.parametrize("scale", [0.1, 1, 20])
def test_points_of_a_face_are_plausible_however_it_is_turned(degrees: float, scale: float) -> None:
    by = similarity(scale=scale, degrees=degrees, x=300, y=-5)
    (x, y), *_ = moved(np.array([(FACE.x, FACE.y)]), by)
    turned = Face(x, y, FACE.size * scale, math.radians(degrees), 1)
    assert landmarks_plausible(moved(REFERENCE, by), turned)
    assert not landmarks_plausible(moved(REFERENCE, by), turned._replace(angle=turned.angle + math.pi))


@pytest.mark.parametrize(
    "landmarks",
    [
        pytest.param(REFERENCE[[1, 0, 2, 3, 4]], id="corners of one eye exchanged"),
        pytest.param(REFERENCE[[2, 3, 0, 1, 4]], id="eyes exchanged"),
        pytest.param(REFERENCE[[0, 4, 2, 3, 1]], id="nose and an eye exchanged"),
        pytest.param((0, 140) + REFERENCE * (1, -1), id="nose above the eyes"),
        pytest.param(REFERENCE + np.array((100, 0)), id="outside of the face to the right"),
        pytest.param(REFERENCE - (0, 90), id="outside of the face at the top"),
        pytest.param(REFERENCE * 4 - 210, id="larger than the face"),
        pytest.param(REFERENCE / 4 + 50, id="nearly one point"),
        pytest.param(np.full((5, 2), 74.0), id="one point"),
        pytest.param(np.full((5, 2), np.nan), id="no numbers"),
        pytest.param(np.where(REFERENCE == 88, np.nan, REFERENCE), id="one is no number"),
        pytest.param(np.where(REFERENCE == 110, np.inf, REFERENCE), id="infinite"),
    ],
)
def test_other_points_are_not_plausible(landmarks: Landmarks) -> None:
    assert not landmarks_plausible(landmarks, FACE)
