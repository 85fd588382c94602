import base64
import contextlib
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.pictures.data_urls import is_data_url, read_data_url
from facerec.pictures.errors import InvalidDataUrl, PictureError, PictureTooLarge


@given(st.binary(max_size=300))
def test_data_urls_give_back_their_content(content: bytes) -> None:
    encoded = base64.b64encode(content).decode()
    for url in (
        f"data:image/png;base64,{encoded}",
        f"DATA:;base64,{encoded.rstrip('=')}",
        f"data:image/png;base64,{encoded.replace('+', '%2B').replace('/', '%2f').replace('=', '%3D')}",
        "data:," + "".join(f"%{byte:02x}" for byte in content),
    ):
        assert is_data_url(url)
        assert read_data_url(url, max_bytes=300) == content


def test_base64_in_data_urls_is_read_as_browsers_and_people_write_it() -> None:
    content = bytes(range(256)) * 3 + b"?>"
    standard = base64.b64encode(content).decode()
    for url in (
        "data:image/jpeg;base64," + base64.encodebytes(content).decode(),  # lines of 76 characters
        f"data:image/jpeg;base64,{standard}\r\n",
        f"\n data:image/jpeg;base64, {standard}",
        f"data:image/jpeg; base64,{standard}",
        f"data:image/jpeg;charset=utf-8; BASE64 ,{standard}",
        f"data:image/jpeg;base64,{base64.urlsafe_b64encode(content).decode()}",
        f"data:image/jpeg;base64,{base64.urlsafe_b64encode(content).decode().rstrip('=')}",
        f"data:image/jpeg;base64,{standard[:9]}%0A%20{standard[9:]}",
    ):
        assert is_data_url(url)
        assert read_data_url(url, max_bytes=len(content)) == content


@pytest.mark.parametrize(
    "url",
    [
        "data:;base64," + " " * 8_000_000,
        "data:;base64," + "=" * 8_000_000,
        "data:;base64," + "A=" * 4_000_000,
        "data:" + "; " * 4_000_000,
        "data:" + ";base64 " * 1_000_000 + ",",
        "data:" + " " * 8_000_000 + "x",
        " " * 8_000_000 + "data:,",
    ],
)
def test_a_hostile_data_url_is_read_or_refused_at_once(url: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(PictureError):
        read_data_url(url, max_bytes=10_000_000)
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize("url", ["data:", "data:image/png;base64", "data:;base64,ab*d", "data:;base64,a", "data:,ä"])
def test_malformed_data_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidDataUrl):
        read_data_url(url, max_bytes=100)


def test_data_urls_have_the_same_limit_as_files() -> None:
    at_the_cap, over_it = (base64.b64encode(bytes(size)).decode() for size in (100, 101))
    assert len(read_data_url(f"data:;base64,{at_the_cap}", max_bytes=100)) == 100
    for url in (f"data:;base64,{over_it}", "data:," + "a" * 101, "data:," + "a" * 1000):
        with pytest.raises(PictureTooLarge):
            read_data_url(url, max_bytes=100)


@given(st.text().map("data:{}".format))
def test_any_data_url_is_read_or_refused(url: str) -> None:
    try:
        read_data_url(url, max_bytes=10)
    except PictureError:
        return


@pytest.mark.parametrize("escape", ["%41", "%a", "%"])
def test_a_data_url_of_millions_of_escapes_is_not_decoded(escape: str) -> None:
    tracemalloc.start()
    with pytest.raises(InvalidDataUrl):
        read_data_url("data:," + escape * 1_000_000, max_bytes=10**7)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
