"""`data:` URLs, which hold the picture itself (RFC 2397)."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

from facerec.pictures.errors import InvalidDataUrl, PictureTooLarge

WHITESPACE = " \t\r\n\f\v"
"""Characters that are ignored around a URL of any scheme."""
_MAX_LEADING_WHITESPACE = 8192
"""Characters in which the scheme is looked for, so that a long text is not copied."""
_MAX_PERCENT_ESCAPES = 500_000
"""Percent-escapes in a `data:` URL. Decoding one takes up to 180 bytes of memory; the base64 of a picture of the
default largest size needs at most one escape for every thirty characters."""
_URL_SAFE_TO_STANDARD_BASE64 = bytes.maketrans(b"-_", b"+/")


def is_data_url(url: str) -> bool:
    """Whether `url` is a `data:` URL (RFC 2397)."""
    return url[:_MAX_LEADING_WHITESPACE].lstrip(WHITESPACE)[:5].lower() == "data:"


def read_data_url(url: str, *, max_bytes: int) -> bytes:
    """The content of a `data:` URL (RFC 2397). Its media type is ignored.

    As in browsers, base64 may hold whitespace and lack its padding (https://infra.spec.whatwg.org/#forgiving-base64).
    The URL-safe alphabet is read too (RFC 4648, section 5).

    Raises:
        InvalidDataUrl: no comma, invalid base64, or too many percent-escapes.
        PictureTooLarge: more than `max_bytes` of content.
    """
    header, comma, payload = url.strip(WHITESPACE)[5:].partition(",")
    if not (comma and payload.isascii()):
        raise InvalidDataUrl
    if len(payload) > 4 * max_bytes:  # %XX, three characters for a byte, is the longest encoding without whitespace
        raise PictureTooLarge.over(max_bytes)
    if payload.count("%") > _MAX_PERCENT_ESCAPES:
        raise InvalidDataUrl
    content = unquote_to_bytes(payload)
    if header.rpartition(";")[2].strip().lower() == "base64":
        content = content.translate(_URL_SAFE_TO_STANDARD_BASE64, WHITESPACE.encode()).rstrip(b"=")
        try:
            content = base64.b64decode(content + b"=" * (-len(content) % 4), validate=True)
        except binascii.Error:
            raise InvalidDataUrl from None
    if len(content) > max_bytes:
        raise PictureTooLarge.over(max_bytes)
    return content
