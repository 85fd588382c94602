import contextlib
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from facerec.inference.cropping import CROP_SIZE, Crop, Face, crop_centre, crop_face
from facerec.inference.detector import FaceDetector
from facerec.pictures.decode import FORMATS, PictureFile
from facerec.pictures.errors import PictureError, PictureTooLarge, TooManyPixels, UnsupportedPicture
from tests.harness import ROOT, picture, saved

MAX_PIXELS = 25_000_000


def opened(data: bytes, *, max_bytes: int = 2**24, max_pixels: int = MAX_PIXELS) -> PictureFile:
    return PictureFile(data, max_bytes=max_bytes, max_pixels=max_pixels)


def decoded(data: bytes) -> Crop:
    return crop_centre(opened(data).decode().image)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def mean_colour(data: bytes) -> tuple[int, ...]:
    crop = decoded(data)
    assert crop.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert crop.dtype == np.uint8
    return tuple(np.rint(crop.mean((0, 1))).astype(int).tolist())


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_format_becomes_a_crop(file_format: str) -> None:
    red, green, blue = mean_colour(picture("red", file_format=file_format))
    assert red > 250
    assert max(green, blue) < 5


def test_the_size_is_that_of_the_file() -> None:
    file = opened(picture(size=(641, 479), file_format="JPEG"))
    assert file.size == file.decode().image.size == (641, 479)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(2000, 1001), (1999, 2000)])
def test_a_jpeg_is_decoded_as_small_as_it_may(size: tuple[int, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = opened(saved(Image.new("RGB", size, "teal"), "JPEG", exif=exif))
    upright = size if orientation < 5 else size[::-1]
    for asked, shrink in ((0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (7, 4), (8, 8), (99, 8)):
        small = file.decode(shrink=asked)
        assert (small.shrink, small.width, small.height) == (shrink, *upright)
        assert small.image.size == tuple(-(-side // shrink) for side in upright)


def test_other_pictures_and_slivers_are_decoded_whole() -> None:
    for data in (picture(size=(900, 900)), picture(size=(1, 5000), file_format="JPEG")):
        small = opened(data).decode(shrink=8)
        assert (small.shrink, small.image.size) == (1, (small.width, small.height))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><html></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"%PDF-1.7\n",
        b"P6 1 1 255 abc",
        saved(Image.new("RGB", (9, 9)), "TIFF"),
        saved(Image.new("RGB", (9, 9)), "ICO"),
    ],
)
def test_other_formats_are_refused_whatever_they_are_called(data: bytes) -> None:
    with pytest.raises(UnsupportedPicture):
        decoded(data)


def test_more_bytes_than_the_limit_are_refused() -> None:
    data = picture()
    assert opened(data, max_bytes=len(data))
    with pytest.raises(PictureTooLarge):
        opened(data, max_bytes=len(data) - 1)


@pytest.mark.parametrize(
    ("width", "height"),
    [(5001, 5000), (12_000, 8_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)],
    ids=["just over", "between one and two times Pillow's limit", "over two times", "the largest"],
)
def test_pixel_bombs_are_refused_by_their_header(width: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", pytest.fail)
    with pytest.raises(TooManyPixels):
        opened(png_header(width, height))


@pytest.mark.parametrize(("width", "height"), [(1, 65_536), (65_536, 1)])
def test_slivers_are_refused_by_their_header(width: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's pointers to 25 million rows of one pixel, and to their copies, take 800 MB."""
    assert opened(png_header(width - width // 2, height - height // 2))
    monkeypatch.setattr(ImageFile.ImageFile, "load", pytest.fail)
    with pytest.raises(TooManyPixels, match="side"):
        opened(png_header(width, height))


def test_pillows_own_warning_is_an_error_to_the_service_too() -> None:
    # In a process of its own: under pytest every warning is an error.
    check = (
        "import sys; from facerec.pictures.decode import PictureFile; "
        "PictureFile(sys.stdin.buffer.read(), max_bytes=999, max_pixels=2**30)"
    )
    command = [sys.executable, "-c", check]
    run = subprocess.run(command, cwd=ROOT, input=png_header(12_000, 8_000), capture_output=True, check=False)
    assert run.stderr.rstrip().endswith(str(TooManyPixels.over(2**30)).encode())
    assert b"DecompressionBombWarning" not in run.stderr


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = saved(Image.new("RGB", (64, 64)), "JPEG", progressive=True)
    start = data.index(b"\xff\xda")
    scan = data[start : data.index(b"\xff", start + 2)]
    most = 64 - data.count(b"\xff\xda")
    assert opened(data[:start] + scan * most + data[start:])
    with pytest.raises(UnsupportedPicture):
        opened(data[:start] + scan * (most + 1) + data[start:])


def test_bytes_after_the_end_of_a_jpeg_are_ignored() -> None:
    thumbnail = saved(Image.new("RGB", (8, 8)), "JPEG")
    data = saved(Image.new("RGB", (64, 64)), "JPEG", exif=b"Exif\0\0" + thumbnail)
    assert opened(data + b"\xff\xda" * 1000).size == (64, 64)


@pytest.mark.parametrize(
    "inside", [b"\xff\xfe\0\2" * 2_000, b"\xff" * 5_000_000, b"\xff\xfe\0\0" * 2_000, b"\xff" * 5_000_000 + b"\0"]
)
def test_a_jpeg_of_endless_segments_is_checked_within_a_second(inside: bytes) -> None:
    data = saved(Image.new("RGB", (64, 64)), "JPEG")
    start = time.monotonic()
    with contextlib.suppress(UnsupportedPicture):
        opened(data[:2] + inside + data[2:])
    assert time.monotonic() - start < 1


def test_warnings_of_pillow_are_neither_printed_nor_kept() -> None:
    # In a process of its own: pytest has its own idea of what to do with warnings.
    exif = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x8298, 2, 2**20, 26) + bytes(8)  # text beyond the end
    data = saved(Image.new("RGB", (9, 9)), "PNG", exif=exif)
    check = """
import sys
from PIL import TiffImagePlugin
from facerec.pictures.decode import PictureFile
PictureFile(sys.stdin.buffer.read(), max_bytes=9999, max_pixels=99).decode()
print(sum(isinstance(key, tuple) for key in getattr(TiffImagePlugin, "__warningregistry__", {})))
"""
    run = subprocess.run([sys.executable, "-c", check], cwd=ROOT, input=data, capture_output=True, check=False)
    assert (run.stdout.strip(), run.stderr) == (b"0", b"")


def test_text_and_profile_bombs_are_refused() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * 2**25, zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(2**26)
    for data in (
        saved(Image.new("RGB", (9, 9)), "PNG", pnginfo=text),
        saved(Image.new("RGB", (9, 9)), "PNG", icc_profile=profile),
    ):
        with pytest.raises(UnsupportedPicture):
            decoded(data)


def test_an_exif_bomb_takes_little_memory() -> None:
    """All 2,000 tags point at the same megabyte. The memory is measured in a process of its own."""
    tags, room = 2000, 10**6
    start = 8 + 2 + 12 * tags + 4
    entries = b"".join(struct.pack("<HHII", 0x9000 + tag, 7, room, start) for tag in range(tags))
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", tags) + entries + bytes(4 + room)
    data = saved(Image.new("RGB", (9, 9)), "PNG", exif=exif)
    check = """
import sys, psutil
from facerec.pictures.decode import PictureFile
from facerec.pictures.errors import PictureError
data = sys.stdin.buffer.read()
before = psutil.Process().memory_info().rss
try:
    PictureFile(data, max_bytes=2**24, max_pixels=99).decode()
except PictureError:
    pass
print(psutil.Process().memory_info().rss - before)
"""
    command = [sys.executable, "-c", check]
    run = subprocess.run(command, cwd=ROOT, input=data, capture_output=True, check=True)
    assert int(run.stdout) < 50e6


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG"])
def test_an_animation_shows_its_first_frame(file_format: str) -> None:
    crops = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    red, green, _ = mean_colour(saved(crops[0], file_format, save_all=True, append_images=crops[1:]))
    assert red > 240
    assert green < 10


def test_a_stereo_jpeg_shows_its_first_picture() -> None:
    red, green, _ = mean_colour(
        saved(
            Image.new("RGB", (32, 32), "red"), "MPO", save_all=True, append_images=[Image.new("RGB", (32, 32), "lime")]
        )
    )
    assert red > 240
    assert green < 10


@pytest.mark.parametrize("file_format", FORMATS)
def test_truncated_files_are_refused(file_format: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = saved(noise, file_format)
    for length in (10, len(data) // 3, len(data) // 2):
        with pytest.raises(UnsupportedPicture):
            decoded(data[:length])


fractions = st.floats(0, 1)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FORMATS), st.lists(st.tuples(fractions, st.integers(0, 255)), max_size=20), fractions)
def test_mutated_files_are_decoded_or_refused(
    finder: FaceDetector, file_format: str, mutations: list[tuple[float, int]], end: float
) -> None:
    data = bytearray(picture(size=(32, 32), file_format=file_format))
    for place, value in mutations:
        data[int(place * (len(data) - 1))] = value
    for file in (bytes(data), bytes(data[: int(end * len(data))])):
        try:
            image = opened(file).decode().image
        except PictureError:
            continue
        for crop in (crop_centre(image), crop_face(image, Face(16, 16, 9, 0.1, 1))):
            assert crop.shape == (CROP_SIZE, CROP_SIZE, 3)
        finder.candidates(image)


def test_exif_rotation_is_undone() -> None:
    left_red = Image.new("RGB", (64, 64), "blue")
    left_red.paste("red", (0, 0, 32, 64))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the left of the file is the top of the scene
    crop = decoded(saved(left_red, "PNG", exif=exif))
    assert crop[20, :, 0].min() > 200
    assert crop[-20, :, 2].min() > 200


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    white: object = {"I;16": 65535, "CMYK": (0, 0, 0, 0), "LA": (255, 255), "RGBA": (255,) * 4}.get(mode, 255)
    image = Image.new(mode, (32, 32), white)  # type: ignore[arg-type]
    if mode == "P":
        image = Image.new("RGB", (32, 32), "white").convert("P")
    assert min(mean_colour(saved(image, "JPEG" if mode == "CMYK" else "PNG"))) > 250


def test_transparency_lies_over_white() -> None:
    assert mean_colour(saved(Image.new("RGBA", (32, 32), (0, 0, 0, 0)), "PNG")) == (255, 255, 255)
