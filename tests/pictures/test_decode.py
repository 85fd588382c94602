import contextlib
import gc
import pickle
import struct
import subprocess
import sys
import time
import weakref
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from facerec.inference.cropping import CROP_SIZE, Crop, Face, crop_centre, crop_face
from facerec.inference.detector import FaceDetector
from facerec.pictures.decode import PictureFile
from facerec.pictures.errors import PictureError, PictureTooLarge, TooManyPixels, UnsupportedPicture
from tests.drawn_people import draw_person
from tests.harness import ROOT, picture, saved
from tests.heic_files import RED_HEIC, TRANSPARENT_HEIC, TURNED_HEIC
from tests.hostile_inputs import chunk

MAX_PIXELS = 25_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
"""The formats that are read, as Pillow names them."""


def opened(data: bytes, *, max_bytes: int = 2**24, max_pixels: int = MAX_PIXELS) -> PictureFile:
    return PictureFile(data, max_bytes=max_bytes, max_pixels=max_pixels)


def example(file_format: str, colour: str = "red", size: tuple[int, int] = (64, 48)) -> bytes:
    """A picture file of one colour. Nothing here can encode a HEIC, so that is always the same."""
    return RED_HEIC if file_format == "HEIF" else picture(colour, size, file_format)


def decoded(data: bytes) -> Crop:
    return crop_centre(opened(data).decode().image)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
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
    red, green, blue = mean_colour(example(file_format))
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
        saved(Image.new("RGB", (9, 9)), "JPEG2000"),
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


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_large_jpeg_is_decoded_at_a_scale_that_keeps_the_limit(options: dict[str, object]) -> None:
    data = saved(Image.new("RGB", (1600, 1000), "teal"), "JPEG", **options)
    most = 2 if options else 8
    for limit, shrink in ((1_600_000, 1), (1_599_999, 2), (800_000, 2), (399_999, 4), (200_000, 4)):
        if most * limit >= 1_600_000:
            small = opened(data, max_pixels=limit).decode()
            assert (small.shrink, small.width, small.height) == (shrink, 1600, 1000)
            assert small.image.width * small.image.height <= limit
    assert opened(data, max_pixels=1_600_000 // most).decode(shrink=8).shrink == 8
    with pytest.raises(TooManyPixels, match=f"more than {1_599_992:,} pixels" if most == 8 else "more than"):
        opened(data, max_pixels=1_600_000 // most - 1)


def test_a_jpeg_of_200_megapixels_is_decoded() -> None:
    """The file is as phones write it. In a process of its own, whose memory is measured."""
    row = saved(Image.new("L", (16_320, 16), 128), "JPEG", restart_marker_blocks=2_040)
    start = row.index(b"\xff\xda")
    scan = row[start + 2 + int.from_bytes(row[start + 2 : start + 4]) : -2]
    intervals = scan.split(b"\xff\xd0")
    assert len(intervals) == 2
    body = b"".join(intervals[0] + bytes((0xFF, 0xD0 + number % 8)) for number in range(1_529)) + intervals[0]
    size = row.index(b"\xff\xc0") + 5
    data = row[:size] + struct.pack(">H", 12_240) + row[size + 2 : len(row) - 2 - len(scan)] + body + b"\xff\xd9"
    check = """
import sys, psutil
from facerec.pictures.decode import PictureFile
picture = PictureFile(sys.stdin.buffer.read(), max_bytes=2**24, max_pixels=25_000_000).decode(shrink=8)
print(picture.shrink, picture.width, picture.height, psutil.Process().memory_info().rss)
"""
    run = subprocess.run([sys.executable, "-c", check], cwd=ROOT, input=data, capture_output=True, check=True)
    shrink, width, height, memory = map(int, run.stdout.split())
    assert (shrink, width, height) == (8, 16_320, 12_240)
    assert memory < 150e6


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


def test_text_and_profile_bombs_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PngImagePlugin, "_safe_zlib_decompress", pytest.fail)
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * 2**25, zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(2**26)
    for data in (
        saved(Image.new("RGB", (9, 9)), "PNG", pnginfo=text),
        saved(Image.new("RGB", (9, 9)), "PNG", icc_profile=profile),
    ):
        assert opened(data).decode().image.size == (9, 9)


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
    data = TURNED_HEIC if file_format == "HEIF" else saved(noise, file_format)
    for length in (10, len(data) // 3, len(data) // 2):
        with pytest.raises(UnsupportedPicture):
            decoded(data[:length])


fractions = st.floats(0, 1)
MUTATED = [
    *(example(file_format, size=(32, 32)) for file_format in FORMATS),
    *(saved(Image.new(mode, (32, 32))) for mode in ("1", "P", "LA", "I;16")),
    saved(Image.new("P", (32, 32)), transparency=0),
    saved(Image.new("RGB", (32, 32)), transparency=(0, 0, 0)),
    *(saved(Image.new(mode, (32, 32)), "TIFF") for mode in ("1", "P", "RGBA", "CMYK")),
    saved(Image.new("CMYK", (32, 32)), "JPEG"),
    saved(Image.new("RGB", (32, 32)), "JPEG", progressive=True),
    saved(Image.new("RGBA", (32, 32)), "WEBP", lossless=True),
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MUTATED), st.lists(st.tuples(fractions, st.integers(0, 255)), max_size=20), fractions)
def test_mutated_files_are_decoded_or_refused(
    finder: FaceDetector, original: bytes, mutations: list[tuple[float, int]], end: float
) -> None:
    data = bytearray(original)
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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_rotation_is_undone(file_format: str, orientation: int) -> None:
    upright = Image.new("RGB", (64, 48), "blue")
    upright.paste("red", (0, 0, 32, 16))  # at the top left
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = opened(saved(stored, file_format, exif=exif)).decode()
    assert (shown.width, shown.height) == shown.image.size == (64, 48)
    pixels = np.asarray(shown.image.convert("RGB"))
    assert pixels[4, 4, 0] > 200
    assert pixels[[4, 44, 44], [60, 4, 60], 2].min() > 200


def test_the_rotation_of_a_heic_is_not_applied_twice() -> None:
    shown = opened(TURNED_HEIC).decode()
    pixels = np.asarray(shown.image)
    assert pixels[4, :, 0].min() > 200  # the left of the file is the top of the scene
    assert pixels[60, :, 2].min() > 200


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    white: object = {"I;16": 65535, "CMYK": (0, 0, 0, 0), "LA": (255, 255), "RGBA": (255,) * 4}.get(mode, 255)
    image = Image.new(mode, (32, 32), white)  # type: ignore[arg-type]
    if mode == "P":
        image = Image.new("RGB", (32, 32), "white").convert("P")
    assert min(mean_colour(saved(image, "JPEG" if mode == "CMYK" else "PNG"))) > 250


@pytest.mark.parametrize("data", [saved(Image.new("RGBA", (32, 32), (0, 0, 0, 0)), "PNG"), TRANSPARENT_HEIC])
def test_transparency_lies_over_white(data: bytes) -> None:
    assert mean_colour(data) == (255, 255, 255)


@pytest.mark.parametrize("alpha", [0, 255])
def test_a_bitmap_whose_alpha_is_empty_is_opaque(alpha: int) -> None:
    pixels = bytes((0, 0, 255, alpha)) * 32 * 32
    masks = struct.pack("<LLLL", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<LllHHLLllLL", 124, 32, 32, 1, 32, 3, len(pixels), 0, 0, 0, 0) + masks + bytes(68)
    data = b"BM" + struct.pack("<LHHL", 138 + len(pixels), 0, 0, 138) + header + pixels
    assert mean_colour(data) == (255, 0, 0)


def test_a_palette_picture_without_a_palette_is_refused() -> None:
    png = saved(Image.new("P", (8, 8)))
    assert b"PLTE" in png
    with pytest.raises(UnsupportedPicture):
        decoded(png.replace(b"PLTE", b"teXt"))


@pytest.mark.parametrize("mode", ["F", "LAB"])
def test_a_tiff_of_other_numbers_than_colours_is_refused(mode: str) -> None:
    with pytest.raises(UnsupportedPicture):
        decoded(saved(Image.new(mode, (32, 32)), "TIFF"))


# Missing end markers

JPEG_KINDS: dict[str, dict[str, object]] = {
    "baseline": {}, "progressive": {"progressive": True}, "restarts": {"restart_marker_rows": 1},
    "no subsampling": {"subsampling": 0, "optimize": True},
}  # fmt: skip


@pytest.mark.parametrize("options", JPEG_KINDS.values(), ids=JPEG_KINDS)
@pytest.mark.parametrize("padding", [b"", bytes(999), b"\xff" * 9_999])
def test_a_jpeg_that_lacks_nothing_but_its_end_marker_is_decoded(options: dict[str, object], padding: bytes) -> None:
    data = saved(draw_person(0, 0), "JPEG", **options)
    for shrink in (1, 8):
        whole, endless = (opened(file).decode(shrink=shrink).image for file in (data, data[:-2] + padding))
        assert whole.tobytes() == endless.tobytes()


@pytest.mark.parametrize("options", JPEG_KINDS.values(), ids=JPEG_KINDS)
@pytest.mark.parametrize("image", [draw_person(0, 0).resize((70, 50)), Image.new("RGB", (70, 50), "teal")])
def test_a_jpeg_that_lacks_pixels_is_refused_wherever_it_ends(image: Image.Image, options: dict[str, object]) -> None:
    data = saved(image, "JPEG", **options)
    whole = opened(data).decode().image.tobytes()
    refused = 0
    for end in range(len(data) - 1):
        try:
            assert opened(data[:end]).decode().image.tobytes() == whole
        except UnsupportedPicture:
            refused += 1
    assert refused > len(data) - 9


# Memory


def test_too_little_memory_is_no_fault_of_the_file() -> None:
    """Decoders report it in ways of their own. In processes of their own, whose memory is limited."""
    noise = Image.effect_noise((800, 500), 90).convert("RGB")
    files = [saved(noise, file_format) for file_format in FORMATS if file_format != "HEIF"]
    files += [saved(noise, "WEBP", lossless=True), saved(noise, "JPEG", progressive=True), RED_HEIC]
    check = """
import pickle, re, resource, sys
from facerec.pictures.decode import PictureFile
from facerec.pictures.errors import UnsupportedPicture
used = 1024 * int(re.search(r"VmData:\\s+(\\d+)", open("/proc/self/status").read())[1])
files = pickle.load(sys.stdin.buffer)
outcomes = []
for file in files:
    for megabytes in (*range(12), *range(16, 64, 8)):
        resource.setrlimit(resource.RLIMIT_DATA, (used + (megabytes << 20), resource.RLIM_INFINITY))
        try:
            PictureFile(file, max_bytes=2**24, max_pixels=2**24).decode()
            outcomes.append("decoded")
        except MemoryError:
            outcomes.append("memory")
        except UnsupportedPicture:
            outcomes.append("unsupported")
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print({outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))})
"""
    run = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, input=pickle.dumps(files), capture_output=True, check=True
    )
    assert b"'memory'" in run.stdout
    assert b"'decoded'" in run.stdout
    assert b"unsupported" not in run.stdout


@pytest.mark.parametrize("file_format", FORMATS)
def test_neither_pictures_nor_refusals_keep_pixels_alive(file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images: list[weakref.ref[Image.Image]] = []
    original = Image.Image.__init__

    def recording(image: Image.Image) -> None:
        original(image)
        images.append(weakref.ref(image))

    monkeypatch.setattr(Image.Image, "__init__", recording)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = TURNED_HEIC if file_format == "HEIF" else saved(noise, file_format)
    images.clear()
    gc.disable()
    try:
        for length in (len(data), *range(20, len(data) - 20, len(data) // 9)):
            with contextlib.suppress(UnsupportedPicture):
                opened(data[:length]).decode()
            assert not any(image() for image in images)
    finally:
        gc.enable()


def test_only_the_plugins_of_the_formats_are_imported() -> None:
    check = """
from facerec.pictures.decode import PictureFile
from facerec.pictures.errors import PictureError
from PIL import Image
for data in (b"", b"RIFF0000WEBP", b"BM" + bytes(99), b"GIF89a" + bytes(99)):
    try:
        PictureFile(data, max_bytes=99, max_pixels=99)
    except PictureError:
        pass
print(*Image.OPEN)
"""
    run = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, check=True)
    assert set(run.stdout.decode().split()) - set(FORMATS) == {"DIB", "PPM"}  # which Pillow's basic plugins bring along
