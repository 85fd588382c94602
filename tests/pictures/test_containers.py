"""Files as programs write them lose their metadata and keep their pixels; floods are judged in no time."""

import contextlib
import io
import struct
import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facerec.pictures.containers import read_container
from facerec.pictures.containers.exif import read_orientation
from facerec.pictures.decode import PictureFile
from facerec.pictures.errors import TooManyPixels, UnsupportedPicture
from tests.drawn_people import draw_person
from tests.harness import saved
from tests.heic_files import RED_HEIC, TURNED_HEIC

FACE = draw_person(0, 0).convert("RGB")
FLOOD_BYTES = 10_000_000
FLOOD_SECONDS = 0.4
"""Processor time within which a flood is judged. The slowest takes 0.15 s, on a slow machine more."""


def jpeg_segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def png_chunk(kind: bytes, content: bytes, *, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def webp_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def gif_extension(label: int, content: bytes) -> bytes:
    blocks = (content[start : start + 255] for start in range(0, len(content), 255))
    return bytes((0x21, label)) + b"".join(bytes((len(block),)) + block for block in blocks) + b"\0"


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def full_box(kind: bytes, content: bytes, version: int = 0) -> bytes:
    return box(kind, bytes((version, 0, 0, 0)) + content)


def exif(*entries: bytes, order: str = "<", rest: bytes = b"") -> bytes:
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(f"{order}LH", 8, len(entries)) + b"".join(entries) + bytes(4) + rest


def entry(tag: int, kind: int, count: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HHL", tag, kind, count) + value


def orientation_entry(value: int, order: str = "<") -> bytes:
    return entry(0x0112, 3, 1, struct.pack(f"{order}HH", value, 0), order)


def pixels(data: bytes) -> tuple[object, ...]:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture.mode, picture.size, picture.tobytes(), picture.getpalette(), picture.info.get("transparency")


# Metadata


def add_to_jpeg(jpeg: bytes, content: bytes, choice: int) -> bytes:
    kind = choice % 5
    if kind == 0:
        return jpeg[:2] + jpeg_segment(0xE1, b"Exif\0\0" + content) + jpeg[2:]
    if kind == 1:
        return jpeg[:2] + jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + content) + jpeg[2:]
    if kind == 2:
        return jpeg[:2] + jpeg_segment(0xE2, b"ICC_PROFILE\0\1\1" + content) + jpeg[2:]
    if kind == 3:
        return jpeg + content
    return jpeg[:2] + jpeg_segment(0xE2 + choice % 12, content) + b"\xff" * 20 + jpeg_segment(0xFE, content) + jpeg[2:]


def add_to_png(png: bytes, content: bytes, choice: int) -> bytes:
    kind = (b"eXIf", b"iCCP", b"zTXt", b"iTXt", b"pHYs", b"gAMA", b"abCd", b"tIME")[choice % 8]
    chunk = png_chunk(kind, content, checksum=None if choice % 3 else 1)
    end = len(png) - 12
    return png[:33] + chunk + png[33:] if choice % 2 else png[:end] + chunk + png[end:] + content


def add_to_webp(webp: bytes, content: bytes, choice: int) -> bytes:
    body = webp[12:]
    if not body.startswith(b"VP8X"):
        width, height = FACE.size
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = webp_chunk(b"VP8X", bytes((0x2C, 0, 0, 0)) + sides) + body
    chunk = webp_chunk((b"EXIF", b"XMP ", b"ICCP", b"abcd")[choice % 4], content)
    body = body[:18] + chunk + body[18:] if choice % 2 else body + chunk
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def add_to_gif(gif: bytes, content: bytes, choice: int) -> bytes:
    start = 13 + 3 * 2 ** ((gif[10] & 7) + 1)
    extension = gif_extension((0xFE, 0xFF, 0x01)[choice % 3], content)
    return gif[:start] + extension + gif[start:] + content


ADDED: dict[str, Callable[[bytes, bytes, int], bytes]] = {
    "JPEG": add_to_jpeg, "PNG": add_to_png, "WEBP": add_to_webp, "GIF": add_to_gif,
}  # fmt: skip
BARE = [
    saved(FACE, "JPEG"),
    saved(FACE, "JPEG", progressive=True, optimize=True),
    saved(FACE, "JPEG", restart_marker_rows=1, subsampling=0),
    saved(FACE.convert("L"), "JPEG"),
    saved(FACE.convert("CMYK"), "JPEG"),
    saved(FACE, "PNG"),
    saved(FACE.convert("P"), "PNG", transparency=3),
    saved(FACE.convert("L"), "PNG", transparency=9),
    saved(FACE.convert("RGBA"), "PNG"),
    saved(FACE.convert("1"), "PNG"),
    saved(Image.linear_gradient("L").convert("I;16"), "PNG"),
    saved(FACE, "WEBP"),
    saved(FACE, "WEBP", lossless=True),
    saved(FACE, "GIF"),
    saved(FACE.convert("P"), "GIF", transparency=3, interlace=True),
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(BARE), st.binary(max_size=99), st.lists(st.integers(0, 999), min_size=1, max_size=4))
def test_metadata_is_left_out_and_the_pixels_stay_the_same(bare: bytes, content: bytes, choices: list[int]) -> None:
    marked = b"metadata" + content.replace(b"\xff", b"") + b"metadata"
    file = bare
    for choice in choices:
        file = ADDED[read_container(bare).format](file, marked, choice)
    container = read_container(file)
    assert b"metadata" not in container.data
    assert container.orientation == 1
    assert pixels(container.data) == pixels(bare)
    assert pixels(read_container(bare).data) == pixels(bare)


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", "<>")
def test_the_orientation_is_read_in_both_byte_orders(order: str, orientation: int) -> None:
    before, after = entry(0x0100, 4, 1, b"abcd", order), entry(0x8769, 4, 1, b"abcd", order)
    data = exif(before, orientation_entry(orientation, order), after, order=order)
    assert read_orientation(data) == read_orientation(b"Exif\0\0" + data) == orientation


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not exif at all.",
        b"II*\0",
        exif(),
        exif(orientation_entry(0)),
        exif(orientation_entry(9)),
        exif(entry(0x0112, 4, 1, struct.pack("<L", 6))),
        exif(entry(0x0112, 3, 2, struct.pack("<HH", 6, 6))),
        exif(orientation_entry(6))[:18],
        b"II*\0" + struct.pack("<L", 2**32 - 1) + exif(orientation_entry(6))[8:],
    ],
)
def test_an_orientation_that_cannot_be_used_is_none(data: bytes) -> None:
    assert read_orientation(data) == 1


@given(st.binary(max_size=99))
def test_no_bytes_make_the_orientation_an_error(data: bytes) -> None:
    for order in (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""):
        assert 1 <= read_orientation(order + data) <= 8


ODD_ENTRIES = {
    "a signed rational": (0x011A, 10, 1, struct.pack("<L", 38)),
    "a resolution as text": (0x011A, 2, 4, b"72\0\0"),
    "a NaN": (0x011A, 12, 1, struct.pack("<L", 38)),
    "a description as fraction": (0x010E, 5, 1, struct.pack("<L", 38)),
    "a signed width": (0x0100, 9, 1, struct.pack("<l", -1)),
}


@pytest.mark.parametrize("odd", ODD_ENTRIES.values(), ids=ODD_ENTRIES)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_odd_entries_beside_the_orientation_do_not_matter(file_format: str, odd: tuple[int, int, int, bytes]) -> None:
    data = exif(orientation_entry(6), entry(*odd), rest=struct.pack("<d", float("nan")))
    assert read_container(saved(FACE, file_format, exif=b"Exif\0\0" + data)).orientation == 6


# Floods


def heif_with(*described: bytes) -> bytes:
    """A HEIF of boxes: `mdat` follows the others, which are in the box `meta`."""
    inside = b"".join(each for each in described if each[4:8] != b"mdat")
    return b"".join(
        (
            box(b"ftyp", b"heic\0\0\0\0"),
            box(b"meta", bytes(4) + inside),
            *(each for each in described if each[4:8] == b"mdat"),
        )
    )


def flood(part: bytes) -> bytes:
    return part * (FLOOD_BYTES // len(part))


def jpeg_with(inside: bytes) -> bytes:
    data = saved(FACE, "JPEG")
    return data[:2] + inside + data[2:]


def png_with(inside: bytes) -> bytes:
    data = saved(FACE, "PNG")
    return data[:33] + inside + data[33:]


def gif_with(inside: bytes) -> bytes:
    data = saved(FACE, "GIF")
    start = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    return data[:start] + inside + data[start:]


def webp_with(inside: bytes) -> bytes:
    data = saved(FACE, "WEBP")
    return data[:12] + inside + data[12:]


def tiff_with(entries: bytes) -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", min(len(entries) // 12, 65_535)) + entries


MEGABYTE = zlib.compress(bytes(2**20 - 8), 9)
MANY_TABLES = jpeg_segment(0xDB, (b"\0" + bytes(range(1, 65))) * 1000)
FLOODS = {
    "iCCP of a megabyte each": png_with(flood(png_chunk(b"iCCP", b"a\0\0" + MEGABYTE))),
    "zTXt of a megabyte each": png_with(flood(png_chunk(b"zTXt", b"a\0\0" + MEGABYTE))),
    "iTXt of a megabyte each": png_with(flood(png_chunk(b"iTXt", b"a\0\1\0\0\0" + MEGABYTE))),
    "empty chunks": png_with(flood(png_chunk(b"abCd", b""))),
    "empty chunks of pixels": png_with(flood(png_chunk(b"IDAT", b""))),
    "chunks after the pixels": saved(FACE, "PNG")[:-12] + flood(png_chunk(b"abCd", b"")),
    "frames of an APNG": saved(FACE, "PNG")[:-12]
    + flood(png_chunk(b"fcTL", bytes(26)) + png_chunk(b"fdAT", bytes(99))),
    "PNG palettes": png_with(flood(png_chunk(b"PLTE", bytes(768)))),
    "GIF extensions": gif_with(flood(gif_extension(0xFE, b""))),
    "GIF comments of short blocks": gif_with(b"!\xfe" + flood(b"\2xy") + b"\0"),
    "GIF comments of long blocks": gif_with(b"!\xfe" + flood(b"\xff" + bytes(255)) + b"\0"),
    "zero bytes in a GIF": gif_with(flood(b"\0")),
    "a GIF picture of short blocks": saved(FACE, "GIF")[:-2] + flood(b"\1x"),
    "APP13 segments": jpeg_with(flood(jpeg_segment(0xED, bytes(65_000)))),
    "empty segments": jpeg_with(flood(jpeg_segment(0xFE, b""))),
    "quantization tables": jpeg_with(flood(MANY_TABLES)),
    "frames of a JPEG": jpeg_with(flood(jpeg_segment(0xC0, bytes((8, 0, 9, 0, 9, 255)) + bytes(60_000)))),
    "fill bytes": jpeg_with(flood(b"\xff")),
    "bytes between segments": jpeg_with(flood(b"a")),
    "fill bytes in a scan": saved(FACE, "JPEG")[:-2] + flood(b"\xff") + b"\xff\xd9",
    "stuffed bytes in a scan": saved(FACE, "JPEG")[:-2] + flood(b"\xff\0") + b"\xff\xd9",
    "restart markers in a scan": saved(FACE, "JPEG")[:-2] + flood(b"\xff\xd0") + b"\xff\xd9",
    "short runs of fill bytes": saved(FACE, "JPEG")[:-2] + flood(b"\xff" * 999 + b"\0") + b"\xff\xd9",
    "empty WebP chunks": webp_with(flood(webp_chunk(b"abcd", b""))),
    "TIFF entries": tiff_with(flood(orientation_entry(1))),
    "boxes": RED_HEIC + flood(box(b"free", b"")),
    "boxes in a box": RED_HEIC + box(b"meta", bytes(4) + flood(box(b"infe", b""))),
    "items": box(b"ftyp", b"heic\0\0\0\0") + box(b"meta", bytes(4) + flood(full_box(b"iinf", bytes(2)))),
    "descriptions of items": box(b"ftyp", b"heic\0\0\0\0")
    + box(b"meta", bytes(4) + full_box(b"iinf", bytes(2) + 5_900 * full_box(b"infe", b"\0\1\0\0Exif\0", 2))),
    "places of items": box(b"ftyp", b"avif\0\0\0\0")
    + box(b"meta", bytes(4) + full_box(b"iloc", b"\0\0\xff\xff" + 20_000 * b"\0\1\0\0\0\0")),
    "sources of items that go beyond their box": heif_with(
        full_box(b"iref", 10_000 * box(b"dimg", b"\0\1\xff\xff")), box(b"mdat", bytes(FLOOD_BYTES))
    ),
    "properties of items that go beyond their box": heif_with(
        box(b"iprp", full_box(b"ipma", b"\xff" * 4)), box(b"mdat", bytes(FLOOD_BYTES))
    ),
    "an item many times": heif_with(
        full_box(b"iinf", b"\3\xe7" + 999 * full_box(b"infe", b"\0\1\0\0av01\0", 2)),
        full_box(b"iloc", b"\x44\0\0\1\0\1\0\0\0\1" + struct.pack(">II", 0, FLOOD_BYTES)),
        box(b"mdat", bytes(FLOOD_BYTES)),
    ),
    "an item as the source of another many times": heif_with(
        full_box(b"iinf", b"\0\1" + full_box(b"infe", b"\0\2\0\0grid\0", 2)),
        box(
            b"iprp",
            box(b"ipco", full_box(b"ispe", struct.pack(">II", 1, 1)) + box(b"free", b""))
            + full_box(b"ipma", struct.pack(">I", 201) + b"\0\1\1\1" + 200 * (b"\0\1\xff" + 255 * b"\2")),
        ),
        full_box(b"iref", box(b"dimg", b"\0\2" + struct.pack(">H", 30_000) + 30_000 * b"\0\1")),
    ),
}


@pytest.mark.parametrize("data", FLOODS.values(), ids=FLOODS)
def test_a_flood_is_judged_in_no_time(data: bytes) -> None:
    start = time.thread_time()
    with contextlib.suppress(UnsupportedPicture):
        PictureFile(data, max_bytes=2 * FLOOD_BYTES, max_pixels=10**6).decode()
    assert time.thread_time() - start < FLOOD_SECONDS


# Single formats


def test_a_jpeg_keeps_only_what_its_pixels_need() -> None:
    data = saved(FACE, "JPEG", exif=b"Exif\0\0" + exif(orientation_entry(3)), comment=b"hello", icc_profile=bytes(9))
    container = read_container(data + saved(FACE, "JPEG"))
    assert container == ("JPEG", saved(FACE, "JPEG"), 3, None, True, True)
    assert not read_container(saved(FACE, "JPEG", progressive=True)).one_pass
    assert not read_container(data[:-2]).ended


def test_honest_numbers_of_parts_are_kept() -> None:
    noise = Image.effect_noise((1500, 1500), 200)
    rows = b"".join(b"\0" + noise.crop((0, y, 1500, y + 1)).tobytes() for y in range(1500))
    stream = zlib.compress(rows)
    chunks = [png_chunk(b"IDAT", stream[start : start + 4096]) for start in range(0, len(stream), 4096)]
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1500, 1500, 8, 0, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + png_chunk(b"IEND", b"")
    assert len(chunks) > 400
    assert read_container(png).data == png
    large_profile = b"".join(jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes((n, 255)) + bytes(60_000)) for n in range(255))
    assert pixels(read_container(jpeg_with(large_profile)).data) == pixels(saved(FACE, "JPEG"))


@pytest.mark.parametrize(("compression", "decoded"), [(0, True), (3, True), (1, False), (2, False), (4, False)])
def test_a_compressed_bitmap_is_refused(compression: int, decoded: bool) -> None:
    data = bytearray(saved(FACE, "BMP"))
    data[30] = compression
    if decoded:
        assert read_container(bytes(data)).data == data
    else:
        with pytest.raises(UnsupportedPicture):
            read_container(bytes(data))


def test_a_tiff_keeps_its_first_page_and_no_other_tag() -> None:
    tags = {274: 6, 270: "metadata", 700: b"metadata"}
    data = saved(FACE, "TIFF", compression="tiff_lzw", tiffinfo=tags, save_all=True, append_images=[FACE.rotate(90)])
    container = read_container(data)
    with Image.open(io.BytesIO(container.data)) as picture:
        assert set(picture.getexif()) <= {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317}
        assert getattr(picture, "n_frames", 0) == 1
    assert container.orientation == 6
    assert pixels(container.data) == pixels(saved(FACE, "TIFF"))


@pytest.mark.parametrize(
    "odd",
    [
        entry(259, 3, 1, struct.pack("<HH", 34_676, 0)),  # SGI log compression
        entry(322, 4, 1, struct.pack("<L", 2**20)),  # the width of a tile
        entry(273, 4, 2**20, struct.pack("<L", 8)),  # the places of a million strips
    ],
)
def test_a_tiff_with_odd_compression_tiles_or_strips_is_refused(odd: bytes) -> None:
    with pytest.raises(UnsupportedPicture):
        read_container(exif(odd))


# HEIC and AVIF


def grid_heic(*, tiles: int, columns: int, size: tuple[int, int], tile: bytes = RED_HEIC) -> bytes:
    """A HEIC whose picture of `size` pixels is a grid of tiles of 64 x 64 pixels, all with the same data."""
    config_start = tile.index(b"hvcC") - 4
    config = tile[config_start : config_start + int.from_bytes(tile[config_start : config_start + 4])]
    stream = tile[tile.index(b"mdat") + 4 :]
    grid = struct.pack(">BBBBHH", 0, 0, tiles // columns - 1, columns - 1, *size)
    numbers, last = range(1, tiles + 1), tiles + 1

    def item(number: int, kind: bytes) -> bytes:
        return full_box(b"infe", struct.pack(">HH", number, 0) + kind + b"\0", 2)

    def place(number: int, start: int, length: int) -> bytes:
        return struct.pack(">HHHII", number, 0, 1, start, length)

    def meta(start: int) -> bytes:
        sizes = full_box(b"ispe", struct.pack(">II", 64, 64)) + full_box(b"ispe", struct.pack(">II", *size))
        properties = b"".join(struct.pack(">HBBB", number, 2, 0x81, 2) for number in numbers)
        return full_box(
            b"meta",
            full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + full_box(b"pitm", struct.pack(">H", last))
            + full_box(
                b"iloc",
                struct.pack(">BBH", 0x44, 0, last)
                + b"".join(place(number, start, len(stream)) for number in numbers)
                + place(last, start + len(stream), len(grid)),
            )
            + full_box(
                b"iinf", struct.pack(">H", last) + b"".join(item(n, b"hvc1") for n in numbers) + item(last, b"grid")
            )
            + box(
                b"iprp",
                box(b"ipco", config + sizes)
                + full_box(b"ipma", struct.pack(">I", last) + properties + struct.pack(">HBB", last, 1, 3)),
            )
            + full_box(b"iref", box(b"dimg", struct.pack(f">HH{tiles}H", last, tiles, *numbers))),
        )

    brands = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    start = len(brands + meta(0)) + 8
    return brands + meta(start) + box(b"mdat", stream + grid)


def decoded(data: bytes) -> Image.Image:
    return PictureFile(data, max_bytes=2**24, max_pixels=10**6).decode().image


@pytest.mark.parametrize("size", [(256, 192), (200, 150), (129, 129)])
def test_a_grid_of_tiles_is_decoded(size: tuple[int, int]) -> None:
    assert decoded(grid_heic(tiles=12, columns=4, size=size)).size == size


def test_a_grid_with_more_tiles_than_it_needs_is_refused() -> None:
    with pytest.raises(UnsupportedPicture):
        decoded(grid_heic(tiles=900, columns=30, size=(64, 64)))


def replaced(data: bytes, kind: bytes, content: bytes) -> bytes:
    """`data` with the content of the first box `kind` overwritten at its start."""
    start = data.index(kind) + 4
    return data[:start] + content + data[start + len(content) :]


@pytest.mark.parametrize("file_format", ["AVIF", "HEIF"])
def test_a_coded_picture_that_is_larger_than_declared_is_refused(file_format: str) -> None:
    large = saved(Image.new("RGB", (2000, 2000)), "AVIF") if file_format == "AVIF" else TURNED_HEIC
    with pytest.raises((TooManyPixels, UnsupportedPicture)):
        decoded(replaced(large, b"ispe", bytes(4) + struct.pack(">II", 8, 8)))


@pytest.mark.parametrize("file_format", ["AVIF", "HEIF"])
def test_items_that_share_their_bytes_many_times_are_refused(file_format: str) -> None:
    data = saved(FACE, "AVIF") if file_format == "AVIF" else RED_HEIC
    extents = struct.pack(">BBHHHH", 0x44, 0, 1, 1, 0, 99) + 99 * struct.pack(">II", 0, len(data))
    meta = full_box(b"meta", full_box(b"iloc", extents))
    with pytest.raises(UnsupportedPicture):
        read_container(box(b"ftyp", data[8:16]) + meta + data)


def test_an_avif_loses_its_film_and_its_metadata() -> None:
    film = saved(FACE, "AVIF", save_all=True, append_images=[FACE.rotate(90)], exif=exif(), xmp=b"<metadata/>")
    assert b"avis" in film
    with Image.open(io.BytesIO(read_container(film).data)) as picture:
        assert not getattr(picture, "is_animated", True)
        assert not {"exif", "xmp"} & picture.info.keys()
        picture.load()
