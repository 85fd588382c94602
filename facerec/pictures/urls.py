"""What a caller may put into `url`: http(s) URLs that can be fetched, and `data:` URLs that hold the picture itself."""

import base64
import binascii
import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote_to_bytes, urlsplit

import requests

from facerec import __version__
from facerec.pictures.addresses import Address, Network, may_dial
from facerec.serving.errors import InvalidDataUrl, PictureTooLarge, UrlNotAllowed

_MAX_LENGTH = 8192
_MAX_ESCAPES = 500_000
"""In a data: URL of one picture: base64 has an escape for one in thirty signs at most, and undoing one takes up to 180
bytes of memory."""
_USUAL_PORTS = {"http": 80, "https": 443}
_HEADERS = {
    "User-Agent": f"face-recognition/{__version__}",
    "Accept": "image/jpeg, image/png, image/webp, image/gif, image/bmp",
    "Accept-Encoding": "identity",  # a compressed answer could be a bomb
    "Connection": "close",
}
_LABELS = re.compile(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")


def prepare(
    url: str, *, allowed_ports: frozenset[int], allowed_networks: tuple[Network, ...]
) -> requests.PreparedRequest:
    """The request that fetches `url`, holding nothing of its caller's but the URL.

    Judged is the URL as `requests` will use it, so that no second parser can read another host into it.

    Raises:
        UrlNotAllowed: another scheme, a user or password, an odd host, a port or a literal address not allowed.
    """
    authority = re.split("[/?#]", url.partition("//")[2], maxsplit=1)[0]
    if len(url) > _MAX_LENGTH or not url.isprintable() or set(url) & set(" \\") or set(authority) & set("@%"):
        raise UrlNotAllowed
    try:
        request = requests.Request("GET", url, headers=_HEADERS).prepare()
        parts = urlsplit(request.url or "")
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except (ValueError, requests.RequestException):
        raise UrlNotAllowed from None
    if scheme not in _USUAL_PORTS or "@" in parts.netloc:
        raise UrlNotAllowed
    if port not in {None, *_USUAL_PORTS.values(), *allowed_ports}:
        raise UrlNotAllowed
    address = literal_address(host)
    if address and not may_dial(address, allowed_networks):
        raise UrlNotAllowed
    return request


def literal_address(host: str) -> Address | None:
    """The address that `host` is, None if it is a name.

    Raises:
        UrlNotAllowed: neither a name nor an address in its one usual form (no hex, octal, decimal or short IPv4).
    """
    try:
        if ":" in host:
            return IPv6Address(host)
        # https://url.spec.whatwg.org/#ends-in-a-number-checker
        if _NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return IPv4Address(host)
    except ValueError:
        raise UrlNotAllowed from None
    if not _LABELS.fullmatch(host):
        raise UrlNotAllowed
    return None


def host_of(url: str) -> str | None:
    """The host of `url` as it is looked up, for the log; None where there is none that can be fetched from."""
    try:
        request = requests.PreparedRequest()
        request.prepare_url(url[:_MAX_LENGTH], None)
        host = urlsplit(request.url or "").hostname or ""
        literal_address(host)
    except (ValueError, requests.RequestException, UrlNotAllowed):
        return None
    return host


def is_data_url(url: str) -> bool:
    """Whether `url` holds its content itself (RFC 2397)."""
    return url[:5].lower() == "data:"


def read_data_url(url: str, *, max_bytes: int) -> bytes:
    """The content of a `data:` URL (RFC 2397). Its media type is not looked at.

    Raises:
        InvalidDataUrl: no comma, bad base64, or nearly all of it escaped.
        PictureTooLarge: more than `max_bytes` of content.
    """
    header, comma, payload = url[5:].partition(",")
    if not (comma and payload.isascii()):
        raise InvalidDataUrl
    if len(payload) > 4 * max_bytes:  # %XX, three characters a byte, is the widest form
        raise PictureTooLarge.over(max_bytes)
    if payload.count("%") > _MAX_ESCAPES:
        raise InvalidDataUrl
    content = unquote_to_bytes(payload)
    if header.lower().endswith(";base64"):
        try:
            content = base64.b64decode(content + b"=" * (-len(content) % 4), validate=True)
        except binascii.Error:
            raise InvalidDataUrl from None
    if len(content) > max_bytes:
        raise PictureTooLarge.over(max_bytes)
    return content
