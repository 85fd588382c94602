"""http(s) URLs that clients may send: those of public hosts."""

import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urljoin

import httpx

from facerec.pictures.addresses import Address, Network, may_dial
from facerec.pictures.data_urls import WHITESPACE
from facerec.pictures.errors import UrlNotAllowed

_MAX_URL_LENGTH = 8192
"""Characters of a URL. A character that is not ASCII counts as its percent-escapes."""
_MAX_HOST_LENGTH = 253
"""Characters of a host name (RFC 1035, without the final dot)."""
_MAX_AUTHORITY_LENGTH = _MAX_HOST_LENGTH + len(".:65535")
DEFAULT_PORTS = {"http": 80, "https": 443}
_FORBIDDEN_CHARACTER = re.compile(r"[\x00-\x1f\x7f\\]")
_LONG_LABEL = re.compile("[^.:@\u3002\uff0e\uff61]{64}")
"""A label of more than 63 characters (RFC 1035). IDNA (RFC 5890) knows three further dots, and encodes no label in
fewer characters."""
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_BARE_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]{64}")


def parse_url(url: str, *, allowed_ports: frozenset[int], allowed_networks: tuple[Network, ...]) -> httpx.URL:
    """The URL of the picture, once it was found permitted. The request must be made from this same object.

    Spaces and newlines around the URL are ignored. Spaces and characters that are not ASCII become percent-escapes of
    their UTF-8 in the path and the query (RFC 3987, section 3.1); escapes stay as they are.

    Args:
        url: what the client sent.
        allowed_ports: ports besides 80 and 443.
        allowed_networks: networks besides the public ones, for hosts that are IP addresses.

    Raises:
        UrlNotAllowed: another scheme, a user or password, a malformed host, a port or an IP address that is not
            permitted.
    """
    if _BARE_BASE64.match(url):
        raise UrlNotAllowed(
            "This is no URL but looks like a picture in base64: put its scheme and media type before it, as in "
            "data:image/jpeg;base64,..."
        )
    parsed = _parse(url)
    address = literal_address(ascii_host(parsed))
    if (
        parsed.scheme not in DEFAULT_PORTS
        or "@" in _authority(url.strip(WHITESPACE))
        or parsed.port not in {None, *DEFAULT_PORTS.values(), *allowed_ports}
        or (address and not may_dial(address, allowed_networks))
    ):
        raise UrlNotAllowed
    return parsed


def redirect_target(url: httpx.URL, location: bytes) -> str:
    """The URL that a `Location` header of `url` names, not yet checked (RFC 9110, section 10.2.2).

    Raises:
        UrlNotAllowed: it is too long, or its host is malformed.
    """
    if len(location) > _MAX_URL_LENGTH:
        raise UrlNotAllowed
    try:
        text = location.decode()
    except UnicodeDecodeError:
        text = location.decode("latin-1")
    try:
        return urljoin(str(url), text)
    except ValueError:
        raise UrlNotAllowed from None


def ascii_host(url: httpx.URL) -> str:
    """The host of `url` in the form in which it is resolved: IDNA's ASCII, lower case, IPv6 without brackets."""
    return url.raw_host.decode("ascii")


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
    if len(host.removesuffix(".")) > _MAX_HOST_LENGTH or not _HOST_NAME.fullmatch(host):
        raise UrlNotAllowed
    return None


def host_of(url: str) -> str | None:
    """The host of `url` in the form in which it is resolved, for the log. `None` where the URL has no valid host."""
    try:
        return ascii_host(_parse(url))
    except UrlNotAllowed:
        return None


def _parse(url: str) -> httpx.URL:
    """Parse `url`, whose host is a name or an address in its usual form.

    Lengths are limited before anything is parsed: the time of IDNA encoding grows with the square of a host's length.

    Raises:
        UrlNotAllowed: it is malformed or too long.
    """
    if len(url) > 2 * _MAX_URL_LENGTH:  # may have whitespace around it
        raise UrlNotAllowed
    url = url.strip(WHITESPACE)
    authority = _authority(url)
    if (
        len(url) > _MAX_URL_LENGTH
        or _FORBIDDEN_CHARACTER.search(url)
        or set(authority) & set("% ")
        or len(authority) > _MAX_AUTHORITY_LENGTH
        or _LONG_LABEL.search(authority)
    ):
        raise UrlNotAllowed
    try:
        ascii_characters = len(url.encode("ascii", "ignore"))
        if ascii_characters + len("%XX") * (len(url.encode()) - ascii_characters) > _MAX_URL_LENGTH:
            raise UrlNotAllowed
        parsed = httpx.URL(url)
    except (ValueError, httpx.InvalidURL):  # a lone surrogate raises UnicodeEncodeError
        raise UrlNotAllowed from None
    literal_address(ascii_host(parsed))
    return parsed


def _authority(url: str) -> str:
    """The part of `url` between `//` and the path (RFC 3986, section 3.2)."""
    return re.split("[/?#]", url.partition("//")[2], maxsplit=1)[0]
