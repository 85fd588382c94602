import base64
import tracemalloc
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.pictures.errors import InvalidDataUrl, PictureError, PictureTooLarge, UrlNotAllowed
from facerec.pictures.urls import host_of, is_data_url, literal_address, prepare_request, read_data_url

REFUSED = {
    "scheme": ["ftp://example.com/a.jpg", "file:///etc/passwd", "gopher://x/", "example.com/a.jpg", "", "//x/"],
    "credentials": ["http://user:password@example.com/", "http://user@example.com/", "http://@example.com/"],
    "backslash": ["http://127.0.0.1\\@1.1.1.1/", "http:\\\\example.com/"],
    "control characters": ["http://example.com/\r\nHost: x", "http://exa\tmple.com/", "http://x/\x00", "\x7f"],
    "spaces": [" http://example.com/", "http://example.com/a b", "http://example.com/\u00a0"],
    "percent in the host": ["http://127.0.0.%31/", "http://%31%32%37.0.0.1/", "http://[fe80::1%25eth0]/"],
    "other forms of IPv4": [
        "http://0x7f.1/",
        "http://2130706433/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://127.0.0.1./",
        "http://0x7f000001/",
        "http://1.1.1/",
        "http://1.1.1.1.1/",
        "http://example.0x1/",
        "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",  # fullwidth digits become ASCII ones
    ],
    "literal special addresses": [
        "http://127.0.0.1/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fd00:ec2::254]/",
        "http://[64:ff9b::7f00:1]/",
    ],
    "ports": ["http://example.com:22/", "http://example.com:8080/", "http://example.com:99999/"],
    "hosts that are none": [
        "http:///a.jpg",
        "http://a..b/",
        "http://-a/",
        "http://[v1.x]/",
        "http://[::1/",
        "http://.",
    ],
    "surrogates": ["http://example.com/\ud800"],
    "length": ["http://example.com/" + "a" * 9000],
}


def vetted(url: str) -> str:
    request = prepare_request(url, allowed_ports=frozenset(), allowed_networks=())
    assert request.url is not None
    return request.url


@pytest.mark.parametrize("url", [url for urls in REFUSED.values() for url in urls])
def test_forbidden_urls_are_refused(url: str) -> None:
    with pytest.raises(UrlNotAllowed):
        vetted(url)


@pytest.mark.parametrize(
    ("url", "request_url"),
    [
        ("http://example.com/a.jpg", "http://example.com/a.jpg"),
        ("HTTPS://Example.COM:443/a.jpg?b=c@d#e", "https://example.com:443/a.jpg?b=c@d#e"),
        ("https://example.com?u=a@b", "https://example.com/?u=a@b"),
        ("https://bücher.example/bär.png", "https://xn--bcher-kva.example/b%C3%A4r.png"),
        ("http://1.1.1.1/", "http://1.1.1.1/"),
        ("http://[2606:4700:4700::1111]/", "http://[2606:4700:4700::1111]/"),
        ("http://under_score.example./a%20b.jpg", "http://under_score.example./a%20b.jpg"),
    ],
)
def test_ordinary_urls_pass(url: str, request_url: str) -> None:
    assert vetted(url) == request_url


def test_the_request_holds_nothing_of_the_callers() -> None:
    request = prepare_request("http://example.com/a.jpg", allowed_ports=frozenset(), allowed_networks=())
    assert set(request.headers) == {"User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert request.headers["Accept-Encoding"] == "identity"


def test_the_operator_can_allow_ports_and_networks() -> None:
    allowed = prepare_request(
        "http://10.1.0.1:8080/", allowed_ports=frozenset({8080}), allowed_networks=(ip_network("10.1.0.0/16"),)
    )
    assert allowed.url == "http://10.1.0.1:8080/"


authorities = st.text(st.sampled_from("0123456789abcdefx.:[]@%\\/-_ \t\uff41\uff11\u3002\u200d"), max_size=20)


@given(st.one_of(st.text(), authorities.map("http://{}/".format), authorities.map("https://{}:80".format)))
def test_any_text_passes_or_is_refused(url: str) -> None:
    try:
        request_url = vetted(url)
    except UrlNotAllowed:
        return
    assert request_url.isascii()
    assert "@" not in request_url.partition("//")[2].partition("/")[0]
    assert host_of(request_url)


def test_host_of_names_no_more_than_the_host() -> None:
    assert host_of("https://example.com:8080/secret?token=secret") == "example.com"
    assert host_of("https://user:secret@example.com/") == "example.com"
    assert host_of("https://bücher.example/") == "xn--bcher-kva.example"
    assert host_of("https://[::1/") is None
    assert host_of("not a url") is None


def test_names_are_no_literal_addresses() -> None:
    assert literal_address("example.com") is None
    assert str(literal_address("1.1.1.1")) == "1.1.1.1"
    assert str(literal_address("::1")) == "::1"


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
