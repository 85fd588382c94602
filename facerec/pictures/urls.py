"""URLs that clients may send: http(s) URLs of public hosts, and `data:` URLs that hold the picture itself."""

import base64
import binascii
import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote_to_bytes, urlsplit

import requests

from facerec import __version__
from facerec.pictures.addresses import Address, Network, may_dial
from facerec.pictures.errors import InvalidDataUrl, PictureTooLarge, UrlNotAllowed

_MAX_URL_LENGTH = 8192
_MAX_PERCENT_ESCAPES = 500_000
"""Percent-escapes in a `data:` URL. Decoding one takes up to 180 bytes of memory; the base64 of a picture of the
default largest size needs at most one escape for every thirty characters."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HEADERS = {
    "User-Agent": f"face-recognition/{__version__}",
    "Accept": "image/jpeg, image/png, image/webp, image/gif, image/bmp",
    "Accept-Encoding": "identity",  # a compressed answer could be a decompression bomb
    "Connection": "close",
}
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def prepare_request(
    url: str, *, allowed_ports: frozenset[int], allowed_networks: tuple[Network, ...]
) -> requests.PreparedRequest:
    """The GET request for `url`. Its headers are the service's own.

    The URL is checked in the form in which requests uses it, so that no second parser can read another host into it.

    Args:
        url: what the client sent.
        allowed_ports: ports besides 80 and 443.
        allowed_networks: networks besides the public ones, for hosts that are IP addresses.

    Raises:
        UrlNotAllowed: another scheme, a user or password, a malformed host, a port or an IP address that is not
            permitted.
    """
    authority = re.split("[/?#]", url.partition("//")[2], maxsplit=1)[0]
    if len(url) > _MAX_URL_LENGTH or not url.isprintable() or set(url) & set(" \\") or set(authority) & set("@%"):
        raise UrlNotAllowed
    try:
        request = requests.Request("GET", url, headers=_HEADERS).prepare()
        parts = urlsplit(request.url or "")
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except (ValueError, requests.RequestException):
        raise UrlNotAllowed from None
    if scheme not in _DEFAULT_PORTS or "@" in parts.netloc:
        raise UrlNotAllowed
    if port not in {None, *_DEFAULT_PORTS.values(), *allowed_ports}:
        raise UrlNotAllowed
    address = literal_address(host)
    if address and not may_dial(address, allowed_networks):
        raise UrlNotAllowed
    return request


def literal_address(host: str) -> Address | None:
    """The IP address that `host` is, or `None` for a name.

    Raises:
        UrlNotAllowed: `host` is neither a name nor an address in its usual form. Hexadecimal, octal, decimal and
            shortened IPv4 addresses are refused.
    """
    try:
        if ":" in host:
            return IPv6Address(host)
        # https://url.spec.whatwg.org/#ends-in-a-number-checker
        if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return IPv4Address(host)
    except ValueError:
        raise UrlNotAllowed from None
    if not _HOST_NAME.fullmatch(host):
        raise UrlNotAllowed
    return None


def host_of(url: str) -> str | None:
    """The host of `url` in the form in which it is resolved, for the log. `None` where the URL has no valid host."""
    try:
        request = requests.PreparedRequest()
        request.prepare_url(url[:_MAX_URL_LENGTH], None)
        host = urlsplit(request.url or "").hostname or ""
        literal_address(host)
    except (ValueError, requests.RequestException, UrlNotAllowed):
        return None
    return host


def is_data_url(url: str) -> bool:
    """Whether `url` is a `data:` URL (RFC 2397)."""
    return url[:5].lower() == "data:"


def read_data_url(url: str, *, max_bytes: int) -> bytes:
    """The content of a `data:` URL (RFC 2397). Its media type is ignored.

    Raises:
        InvalidDataUrl: no comma, invalid base64, or too many percent-escapes.
        PictureTooLarge: more than `max_bytes` of content.
    """
    header, comma, payload = url[5:].partition(",")
    if not (comma and payload.isascii()):
        raise InvalidDataUrl
    if len(payload) > 4 * max_bytes:  # %XX, three characters for a byte, is the longest encoding
        raise PictureTooLarge.over(max_bytes)
    if payload.count("%") > _MAX_PERCENT_ESCAPES:
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
