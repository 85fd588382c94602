"""What bodies may hold: a hostile one is refused with an answer that says why, before it blocks the event loop."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import requests
import uvicorn
from PIL import Image

from facerec.serving.settings import Settings
from tests.harness import data_url, picture, saved
from tests.serving.conftest import Service

FILE = b'Content-Disposition: form-data; name="file"; filename="a"'
LARGE = 10_000_000


def part(head: bytes, content: bytes = b"") -> bytes:
    return b"--b0\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def post_form(service: str, *parts: bytes, content_type: str = "multipart/form-data; boundary=b0") -> requests.Response:
    body = b"".join(parts) + b"--b0--\r\n"
    return requests.post(f"{service}/predict/upload", data=body, headers={"Content-Type": content_type}, timeout=20)


def post_json(service: str, body: bytes) -> requests.Response:
    return requests.post(f"{service}/predict", data=body, headers={"Content-Type": "application/json"}, timeout=20)


def longest_delay(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> float:
    """Seconds for which other tasks of an event loop, such as answers to health probes, wait during `call`.

    They are seconds of the event loop's thread alone: other threads and processes do not count.
    """
    over = threading.Event()

    async def probe() -> list[float]:
        delays: list[float] = []
        while not (delays and over.is_set()):
            start = time.thread_time()
            await asyncio.sleep(0.001)
            delays.append(time.thread_time() - start)
        return delays

    probing = asyncio.run_coroutine_threadsafe(probe(), loop)
    try:
        call()
    finally:
        over.set()
    return max(probing.result(timeout=20))


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.AbstractEventLoop]:
    """The event loops of the services that are started."""
    started: list[asyncio.AbstractEventLoop] = []
    startup = uvicorn.Server.startup

    async def recording(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        started.append(asyncio.get_running_loop())
        await startup(server, sockets)

    monkeypatch.setattr(uvicorn.Server, "startup", recording)
    return started


@pytest.fixture
def service(loops: list[asyncio.AbstractEventLoop], serve: Service, model: Path) -> str:  # `loops` comes before it
    return serve(Settings(model=model))


@pytest.mark.parametrize("charset", ["punycode", '"PUNYCODE"', "utf-7", "latin-1"])
def test_a_form_in_another_charset_is_not_parsed(service: str, charset: str) -> None:
    head = b'Content-Disposition: form-data; name="a-"'
    name = b"a" * 100_000 + b"-" + b"a" * 100_000
    start = time.monotonic()
    answer = post_form(service, part(head, name), content_type=f"multipart/form-data; boundary=b0; charset={charset}")
    assert time.monotonic() - start < 2
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "UTF-8" in answer.json()["detail"]


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", '; charset="UTF-8"', ";charset=utf8"])
def test_a_form_in_utf_8_is_read(service: str, charset: str) -> None:
    answer = post_form(service, part(FILE, picture()), content_type="multipart/form-data; boundary=b0" + charset)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/predict/upload"])
def test_an_url_encoded_form_is_not_parsed(service: str, path: str) -> None:
    for body in (b"url=https://example.org/a.jpg", b"a=" + b"%41" * 3_000_000):
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=punycode"}
        answer = requests.post(service + path, data=body, headers=headers, timeout=9)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert "multipart/form-data" in answer.json()["detail"]


def test_a_form_of_many_parts_is_not_parsed(service: str) -> None:
    start = time.monotonic()
    answer = post_form(service, *[part(b"Content-Disposition: form-data; name=x" + b";" * 4000)] * 1000)
    assert time.monotonic() - start < 2
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "parts" in answer.json()["detail"]


@pytest.mark.parametrize("head", [FILE + b";" * 4000, FILE + b"\r\nX: " + b"y" * 4000, b"\t" * 4000])
def test_a_part_with_a_long_head_is_not_parsed(service: str, head: bytes) -> None:
    for parts in ([part(head, picture())], [part(FILE, picture()), part(head)]):
        answer = post_form(service, *parts)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert "2048" in answer.json()["detail"]


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=b0" + ";" * 9000, '";' * 5000])
def test_a_long_content_type_is_not_parsed(service: str, content_type: str) -> None:
    answer = post_form(service, part(FILE, picture()), content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "1024" in answer.json()["detail"]


@pytest.mark.parametrize("filler", [b"\r\n", b"\r", b"\r\n-", b"\r\n--b", b"\r\n--b0-x"[:6], b"-", b"\0"])
def test_a_large_form_does_not_block_the_event_loop(
    service: str, loops: list[asyncio.AbstractEventLoop], filler: bytes
) -> None:
    form = part(FILE, filler * (LARGE // len(filler)))
    preamble = filler * (LARGE // len(filler)) + part(FILE, picture())
    for body in (form, preamble):
        assert longest_delay(loops[0], lambda body=body: post_form(service, body)) < 0.2  # type: ignore[misc]


@pytest.mark.parametrize(
    "url",
    [
        b"a" * LARGE,
        b"\\/a" * 3_000_000,
        b"\\u0041" * 2_000_000,
        b"\\ud83d\\ude00" * 1_000_000,
        "\U0001f600".encode() + b"a" * LARGE,
        "\N{LATIN SMALL LETTER U WITH DIAERESIS}".encode() * 5_000_000,
        b"\xed\xa0\x80" * 4_000_000,
        b"\xff" * LARGE,
        b'\\ud83d\\ude00\\"' + b"a" * LARGE,
        b'\\"' * (LARGE // 2) + b"\\u0041",
    ],
    ids=[
        *("plain", "escapes", "unicode escapes", "escaped emoji", "an emoji", "umlauts", "surrogates", "not UTF-8"),
        *("an emoji before a quote", "quotes"),
    ],
)
def test_large_json_does_not_block_the_event_loop(
    service: str, loops: list[asyncio.AbstractEventLoop], url: bytes
) -> None:
    def call() -> None:
        assert 400 <= post_json(service, b'{"url": "' + url + b'"}').status_code < 500

    assert longest_delay(loops[0], call) < 0.2


@pytest.mark.parametrize(
    "value",
    [b"9" * LARGE, b"1." + b"9" * LARGE, b"1e" + b"9" * LARGE, b" " * LARGE, b"[" * 3900, b'{"a":' * 3900],
    ids=["integer", "fraction", "exponent", "spaces", "lists", "objects"],
)
def test_odd_json_values_do_not_block_the_event_loop(
    service: str, loops: list[asyncio.AbstractEventLoop], value: bytes
) -> None:
    def call() -> None:
        assert post_json(service, b'{"top_k": ' + value + b"}").status_code == 422

    assert longest_delay(loops[0], call) < 0.2


def test_a_large_json_body_of_base64_is_read_however_its_slashes_are_written(service: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    url = data_url(saved(Image.fromarray(noise)))
    for text in (url, url.replace("/", "\\/")):
        assert post_json(service, f'{{"url": "{text}"}}'.encode()).status_code == 200


def test_a_small_json_body_may_hold_any_character(service: str) -> None:
    for body in ('{"url": "http://bücher.test:22/"}'.encode(), b'{"url": "http://b\\u00fccher.test:22/"}'):
        assert post_json(service, body).json()["code"] == "url_not_allowed"


def test_a_large_json_body_may_hold_any_character_in_short_strings(service: str) -> None:
    long = f'"{data_url(picture())}{"A" * 100_000}"'
    for short in ("http://bücher.test:22/", "http://b\\u00fccher.test:22/"):
        answer = requests.post(
            f"{service}/predict/batch",
            data=f'{{"urls": [{long}, "{short}"]}}'.encode(),
            headers={"Content-Type": "application/json"},
            timeout=9,
        )
        assert answer.json()["results"][1]["code"] == "url_not_allowed"
        refused = post_json(service, f'{{"url": {long[:-1]}{short[-20:]}"}}'.encode())
        assert "long strings must be plain ASCII" in refused.json()["detail"]


def test_a_batch_of_urls_with_many_commas_is_read(service: str) -> None:
    urls = ["http://pictures.test:22/" + "w_300,h_200,c_fill," * 12] * 16
    answer = requests.post(f"{service}/predict/batch", json={"urls": urls}, timeout=9)
    assert [result["code"] for result in answer.json()["results"]] == ["url_not_allowed"] * 16


def test_the_message_of_many_problems_is_short(service: str) -> None:
    body: dict[str, object] = {"urls": [0] * 16, **{f"k{number}": 1 for number in range(3900)}}
    answer = requests.post(f"{service}/predict/batch", json=body, timeout=9)
    assert answer.status_code == 422
    assert "body.urls.4: Input should be a valid string; and 12 more problems" in answer.json()["detail"]
    assert len(answer.content) < 1000
