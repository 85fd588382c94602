"""Files and requests that try to hang, bloat or fool the service."""

import contextlib
import json
import struct
import zlib
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import requests
from PIL import Image

from tests.harness import connect, data_url, saved
from tests.hostile_server import Connection, HostileServer, head

# Files


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(before: bytes = b"", *, width: int = 8, height: int = 8, pixels: bytes | None = None) -> bytes:
    """A black RGB PNG with further chunks `before` its pixels, or with other chunks of `pixels`."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    if pixels is None:
        pixels = chunk(b"IDAT", zlib.compress(bytes(height * (1 + 3 * width)), 1))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + chunk(b"IEND", b"")


def gif(before: bytes) -> bytes:
    """A GIF of 8 x 8 pixels with further blocks `before` its picture."""
    picture = b",\0\0\0\0\x08\0\x08\0\0\x02\x07\x84\x8f\xa9\xcb\xed\x0f\x63\x2b\0;"
    return b"GIF89a\x08\0\x08\0\x80\0\0\0\0\0\xff\xff\xff" + before + picture


def jpeg(before: bytes) -> bytes:
    """A small JPEG with further segments `before` those of its picture."""
    small = saved(Image.new("RGB", (8, 8)), "JPEG")
    return small[:2] + before + small[2:]


def bmp_rle(width: int, height: int) -> bytes:
    """A BMP whose run-length encoding is a handful of bytes for each row, however long the row is."""
    rows = b"\1\0\0\0" * height
    palette = b"".join(bytes((grey, grey, grey, 0)) for grey in range(256))
    offset = 54 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + header + palette + rows


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    progressive = saved(Image.effect_noise((48, 48), 60), "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    return progressive[:last] + progressive[last:-2] * count + progressive[-2:]


def tiff_tags(count: int) -> bytes:
    """A TIFF whose directory has `count` entries."""
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + struct.pack("<HHLL", 270, 2, 1, 0) * count


def animation(file_format: str, frames: int) -> bytes:
    """An animation of small noisy frames."""
    noise = np.random.default_rng(0).integers(0, 256, (frames, 16, 16, 3), dtype=np.uint8)
    first, *others = (Image.fromarray(frame) for frame in noise)
    return saved(first, file_format, save_all=True, append_images=others, duration=10)


def exif_flood() -> bytes:
    """A JPEG whose EXIF has thousands of tags that all point at the same 60 kB."""
    entries = b"".join(struct.pack("<HHLL", 0x9000 + index, 7, 60_000, 8) for index in range(400))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 400) + entries
    return jpeg(b"\xff\xe1" + struct.pack(">H", 65_535) + exif.ljust(65_533, b"\0"))


def large(mode: str, file_format: str, size: tuple[int, int] = (5000, 5000), **options: object) -> bytes:
    """A file of the most pixels that are decoded, all of one colour."""
    return saved(Image.new(mode, size), file_format, **options)


def hostile_files(flood_bytes: int = 9_500_000) -> dict[str, Callable[[], bytes]]:
    """What makes each file. Floods have `flood_bytes`, by default just under the service's limit."""

    def flood(unit: bytes) -> bytes:
        return unit * (flood_bytes // len(unit))

    return {
        "BMP with run-length encoded rows": lambda: bmp_rle(65_535, 381),
        "PNG of colour profile bombs": lambda: png(
            flood(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**20 - 8), 9)))
        ),
        "PNG of text bombs": lambda: png(flood(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20 - 8), 9)))),
        "PNG of international text bombs": lambda: png(
            flood(chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(2**20 - 8), 9)))
        ),
        "PNG of empty chunks": lambda: png(flood(chunk(b"abCd", b""))),
        "PNG of empty pixel chunks": lambda: png(pixels=flood(chunk(b"IDAT", b""))),
        "PNG of palettes": lambda: png(flood(chunk(b"PLTE", bytes(768)))),
        "PNG of 25 megapixels": lambda: large("RGBA", "PNG"),
        "PNG of 25 megapixels with 16 bits": lambda: large("I;16", "PNG"),
        "PNG cut in the middle": lambda: large("RGBA", "PNG")[:50_000],
        "PNG of more pixels than are decoded": lambda: png(width=40_000, height=40_000, pixels=b""),
        "PNG animation of thousands of frames": lambda: animation("PNG", 3000),
        "GIF of comments": lambda: gif(b"!\xfe" + flood(b"\2xy") + b"\0"),
        "GIF of empty extensions": lambda: gif(flood(b"!\xf9\0")),
        "GIF of application extensions": lambda: gif(flood(b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0")),
        "GIF of zero bytes": lambda: gif(bytes(flood_bytes)),
        "GIF of 25 megapixels": lambda: large("P", "GIF"),
        "GIF animation of hundreds of frames": lambda: animation("GIF", 300),
        "JPEG of application segments": lambda: jpeg(flood(b"\xff\xed\0\x10Photoshop 3.0\0")),
        "JPEG of empty segments": lambda: jpeg(flood(b"\xff\xed\0\2")),
        "JPEG of quantization tables": lambda: jpeg(flood(b"\xff\xdb\0\x43\0" + bytes(range(1, 65)))),
        "JPEG of fill bytes": lambda: jpeg(flood(b"\xff")),
        "JPEG of thousands of scans": lambda: scans(5000),
        "JPEG with an EXIF of thousands of large tags": exif_flood,
        "JPEG of 144 megapixels": lambda: large("RGB", "JPEG", (12_000, 12_000)),
        "JPEG of 144 megapixels, progressive": lambda: large("RGB", "JPEG", (12_000, 12_000), progressive=True),
        "JPEG of 25 megapixels in CMYK": lambda: large("CMYK", "JPEG", progressive=True),
        "WebP of 25 megapixels": lambda: large("RGBA", "WEBP", lossless=True),
        "WebP animation of thousands of frames": lambda: animation("WEBP", 3000),
        "AVIF of 25 megapixels": lambda: large("RGB", "AVIF", speed=10),
        "TIFF of 25 megapixels": lambda: large("RGBA", "TIFF", compression="tiff_deflate"),
        "TIFF of thousands of tags": lambda: tiff_tags(60_000),
        "TIFF in a JPEG's name, cut": lambda: large("RGB", "TIFF", compression="tiff_lzw")[:10_000],
        "ten million zero bytes": lambda: bytes(flood_bytes),
        "HEIC of nothing": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + flood(b"\0\0\0\x08free"),
    }


# Requests


def _post(service: str, path: str, body: bytes | Iterable[bytes], content_type: str = "application/json") -> int:
    headers = {"Content-Type": content_type}
    return requests.post(service + path, data=body, headers=headers, timeout=60).status_code


def _form(service: str, parts: bytes, content_type: str = "multipart/form-data; boundary=b0") -> int:
    return _post(service, "/predict/upload", parts + b"--b0--\r\n", content_type)


def _part(disposition: bytes, data: bytes) -> bytes:
    return b"--b0\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + data + b"\r\n"


def _held(service: str, first: bytes, count: int = 10) -> None:
    """Open `count` connections, send `first` on each, and keep them open while another client is answered."""
    held = [connect(service) for _ in range(count)]
    try:
        for connection in held:
            connection.settimeout(3)
            with contextlib.suppress(OSError):  # the service may take no more of it
                connection.sendall(first)
        assert requests.post(f"{service}/predict", json={"url": "data:,x"}, timeout=60).status_code == 415
    finally:
        for connection in held:
            connection.close()


def upstream_answers() -> dict[str, Callable[[Connection], None]]:
    """What a hostile picture server answers, by path."""
    chunked = head("200 OK", "Transfer-Encoding: chunked")

    def endless(connection: Connection, start: bytes, more: bytes) -> None:
        connection.send(start)
        for _ in range(2000):
            connection.send(more)

    return {
        "/minus-one": lambda c: endless(c, chunked + b"-1\r\n", bytes(2**16)),
        "/minus-five": lambda c: c.send(chunked + b"-5\r\nhello\r\n0\r\n\r\n"),
        "/one-byte-chunks": lambda c: endless(c, chunked, b"1\r\na\r\n" * 10_000),
        "/interim": lambda c: endless(c, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000),
        "/endless-head": lambda c: endless(c, b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 10_000),
        "/endless-body": lambda c: endless(c, head("200 OK"), bytes(2**16)),
        "/trailers": lambda c: endless(c, chunked + b"0\r\n", b"a: b\r\n" * 10_000),
    }


def hostile_requests(service: str, server: HostileServer) -> dict[str, Callable[[], int | None]]:
    """Calls that send the hostile requests; `server` answers with `upstream_answers`."""
    rle = data_url(bmp_rle(65_535, 381))
    quadratic = b"a" * 200_000 + b"-" + b"a" * 200_000
    host = "\u0627." * 4089
    return {
        "form in punycode": lambda: _form(
            service, _part(b'name="a-"', quadratic), "multipart/form-data; boundary=b0; charset=punycode"
        ),
        "cookie of escapes": lambda: (
            requests.get(f"{service}/healthz", headers={"Cookie": 'a="' + "\\a" * 30_000 + '"'}, timeout=60).status_code
        ),
        "thousands of requests on each connection": lambda: _held(service, b"GET /healthz HTTP/1.1\r\n\r\n" * 10_000),
        "announced bodies that do not come": lambda: _held(
            service, b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 14000000\r\n\r\n"
        ),
        "form of a thousand parts with long heads": lambda: _form(service, _part(b"name=x" + b";" * 4000, b"") * 1000),
        "form of near boundaries": lambda: _form(service, _part(b'name="file"; filename="a"', b"\r\n--b" * 1_900_000)),
        "JSON of unknown fields": lambda: _post(
            service, "/predict", b'{"url":"x",' + b",".join(b'"k%d":1' % index for index in range(99_990)) + b"}"
        ),
        "JSON of nested lists": lambda: _post(service, "/predict", b'{"url":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        "JSON of escapes": lambda: _post(service, "/predict", b'{"url":"' + b"\\u0041" * 2_300_000 + b'"}'),
        "JSON of a long number": lambda: _post(service, "/predict", b'{"url":' + b"9" * 14_000_000 + b"}"),
        "data: URL of escapes": lambda: _post(
            service, "/predict", json.dumps({"url": "data:," + "%41" * 4_000_000}).encode()
        ),
        "hosts of thousands of labels": lambda: _post(
            service,
            "/predict/batch",
            json.dumps({"urls": [f"http://{chr(0x627 + index)}{host}" for index in range(16)]}).encode(),
        ),
        "batch of run-length encoded pictures": lambda: _post(
            service, "/predict/batch", json.dumps({"urls": [rle] * 16}).encode()
        ),
        **{
            f"picture server: {path[1:]}": partial(
                _post, service, "/predict", json.dumps({"url": server.url(path)}).encode()
            )
            for path in upstream_answers()
        },
    }
