"""XMP is found where programs put it, and floods are judged in no time."""

import contextlib
import io
import struct
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, TiffImagePlugin

from facerec.pictures.containers import read_xmp
from facerec.pictures.errors import UnsupportedPicture
from tests.harness import saved
from tests.heic_files import RED_HEIC

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>\xc3\xa9</x:xmpmeta>"
PICTURE = Image.new("RGB", (8, 6))
TEXTS, TAGS = PngImagePlugin.PngInfo(), TiffImagePlugin.ImageFileDirectory_v2()
TEXTS.add_itxt("Comment", "XML:com.adobe.xmp")
TEXTS.add_itxt("XML:com.adobe.xmp", XMP.decode(), "en", "XMP")
TAGS[700] = XMP
TAGS.tagtype[700] = 1
FILES = {
    "JPEG": saved(PICTURE, "JPEG", xmp=XMP),
    "PNG": saved(PICTURE, "PNG", pnginfo=TEXTS),
    "WEBP": saved(PICTURE, "WEBP", xmp=XMP),
    "TIFF": saved(PICTURE, "TIFF", tiffinfo=TAGS),
    "AVIF": saved(PICTURE, "AVIF", xmp=XMP),
}
DIGEST = b"0123456789ABCDEF" * 2


def extension(start: int, content: bytes, *, length: int, digest: bytes = DIGEST) -> bytes:
    content = b"http://ns.adobe.com/xmp/extension/\0" + digest + struct.pack(">LL", length, start) + content
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("name", FILES)
def test_xmp_is_found_in_every_format(name: str) -> None:
    assert read_xmp(FILES[name]) == [XMP]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP"])
def test_files_without_xmp_have_none(name: str) -> None:
    assert read_xmp(saved(PICTURE, name)) == []


def test_other_files_have_none() -> None:
    assert read_xmp(RED_HEIC) == []
    assert read_xmp(b"") == []
    assert read_xmp(XMP) == []


def test_the_parts_of_an_extension_are_put_in_order() -> None:
    main = saved(PICTURE, "JPEG", xmp=XMP + DIGEST)
    parts = extension(3, b"def", length=6), extension(0, b"abc", length=6)
    others = extension(0, b"abc", length=6, digest=b"F" * 32), extension(0, b"abc", length=5)
    assert read_xmp(main[:2] + b"".join(parts + others) + main[2:]) == [XMP + DIGEST, b"abcdef"]
    assert read_xmp(main[:2] + parts[0] + main[2:]) == [XMP + DIGEST]
    assert read_xmp(saved(PICTURE, "JPEG")[:2] + parts[0] + parts[1] + saved(PICTURE, "JPEG")[2:]) == []


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_files_raise_nothing_unexpected(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, min(len(damaged) - 1, 400)))] = data.draw(st.integers(0, 255))
    try:
        packets = read_xmp(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]))
    except (UnsupportedPicture, struct.error, IndexError):
        return
    assert sum(map(len, packets)) <= len(damaged)


def png_flood() -> bytes:
    chunk = struct.pack(">I4s", 0, b"iTXt") + struct.pack(">I", zlib.crc32(b"iTXt"))
    return b"\x89PNG\r\n\x1a\n" + chunk * 800_000


@pytest.mark.parametrize(
    "flood",
    [
        png_flood(),
        FILES["JPEG"][:2] + extension(0, b"", length=0) * 100_000,
        b"RIFF" + struct.pack("<L", 10_000_000) + b"WEBP" + struct.pack("<4sL", b"XMPX", 0) * 1_000_000,
        b"II*\0" + struct.pack("<LH", 8, 65_535) + bytes(10_000_000),
    ],
    ids=["PNG", "JPEG", "WEBP", "TIFF"],
)
def test_floods_are_judged_in_no_time(flood: bytes) -> None:
    start = time.process_time()
    with contextlib.suppress(UnsupportedPicture):
        assert read_xmp(flood) == []
    assert time.process_time() - start < 0.4


def test_the_packet_in_a_file_of_pillow_is_what_pillow_reads() -> None:
    for name, data in FILES.items():
        with Image.open(io.BytesIO(data)) as picture:
            assert read_xmp(data) == [picture.info["xmp"]], name
