"""Checks of request bodies that are far cheaper than parsing them.

They refuse what would block the event loop if it was parsed. Times below are those of bodies of 14 MB, the largest that
the service reads by default.
"""

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers

from facerec.serving.errors import InvalidRequest, RequestTooLarge

_MAX_CONTENT_TYPE_LENGTH = 1024
"""Characters of the Content-Type header, which is split in Python: 64 KiB take 0.1 s."""
_MAX_PARTS = 24
"""Parts of a form. `POST /people` has 20 pictures and three further fields."""
_MAX_PART_HEAD_BYTES = 2048
"""Bytes of the head of a part, which is split in Python: 1,000 heads of 4 kB take 4 s."""
_MAX_VALUES = 4000
"""Values in JSON. 14 MB of empty lists take 400 MB, 100,000 unknown fields 0.4 s. The commas in the 16 URLs of a batch
count too."""
_MAX_ESCAPES = 1_000_000
"""Backslashes in JSON: 5 million take 0.2 s. A picture of 10 MB in base64 has 220,000 where the client writes `/` as
`\\/`, as PHP does."""
_MAX_UNICODE_BYTES = 64 * 1024
"""Bytes of a JSON body with characters beyond ASCII, escaped or not, besides its long plain strings. One such character
makes a string of 14 MB one of 56 MB, and decoding 14 MB of surrogates takes 2 s."""
_MIN_LONG_STRING = 4096
"""Bytes from which a string is long. Those with plain ASCII alone are `data:` URLs."""


def check_content_type(headers: Headers) -> None:
    """Check the Content-Type of a request before its body is read.

    Raises:
        InvalidRequest: the service does not read such a body. The message says what to send instead.
    """
    header = headers.get("content-type", "")
    if len(header) > _MAX_CONTENT_TYPE_LENGTH:
        raise InvalidRequest(f"The Content-Type has more than {_MAX_CONTENT_TYPE_LENGTH} characters.")
    content_type, options = parse_options_header(header)
    if content_type == b"application/x-www-form-urlencoded":
        raise InvalidRequest(
            "This service reads no URL-encoded forms: send JSON with Content-Type: application/json, or a picture as "
            "multipart/form-data."
        )
    if content_type != b"multipart/form-data":
        return
    # Starlette decodes the names of fields with any codec that Python has. That of `punycode` takes quadratic time.
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise InvalidRequest("Send the form in UTF-8, without another charset in its Content-Type.")
    if not options.get(b"boundary"):
        raise InvalidRequest(
            "The form's Content-Type names no boundary: leave the header to the HTTP library that encodes the form."
        )


def check_content(headers: Headers, body: bytes) -> None:
    """Check a body whose Content-Type has passed `check_content_type`.

    Raises:
        InvalidRequest: the body is malformed.
        RequestTooLarge: the body has more values than any request needs.
    """
    content_type, options = parse_options_header(headers.get("content-type"))
    if content_type == b"multipart/form-data":
        _check_form(body, b"--" + options[b"boundary"])
    elif b"json" in content_type:
        _check_json(body)


def _check_form(body: bytes, delimiter: bytes) -> None:
    if body.count(b"\r\n" + delimiter) > _MAX_PARTS:
        raise InvalidRequest(f"The form has more than {_MAX_PARTS} parts, more than any endpoint takes.")
    start = body.find(delimiter)
    if start < 0:
        raise InvalidRequest("The form is empty, or its parts are not separated by the boundary of its Content-Type.")
    while start >= 0:
        end = start + len(delimiter)
        if body.startswith(b"--", end):  # the last delimiter
            return
        if body.find(b"\r\n\r\n", end, end + _MAX_PART_HEAD_BYTES) < 0:
            raise InvalidRequest(f"A part of the form has no head, or one of more than {_MAX_PART_HEAD_BYTES} bytes.")
        start = body.find(b"\r\n" + delimiter, end)
        start += 2 if start >= 0 else 0


def _check_json(body: bytes) -> None:
    if sum(map(body.count, (b"[", b"{", b","))) > _MAX_VALUES:
        raise RequestTooLarge("The request body holds more values than this service reads.")
    if len(body) <= _MAX_UNICODE_BYTES:
        return
    if (not body.isascii() or b"\\u" in body) and not _has_short_unicode(body):
        raise InvalidRequest(
            f"In a JSON body of more than {_MAX_UNICODE_BYTES} bytes, long strings must be plain ASCII without \\u "
            "escapes, and no string may hold quotes: percent-encode other characters in URLs."
        )
    if body.count(b"\\") > _MAX_ESCAPES:
        raise RequestTooLarge("The request body holds more backslashes than this service reads: write / without one.")


def _has_short_unicode(body: bytes) -> bool:
    """Whether characters beyond ASCII are in short strings alone, such as names, beside long plain ones."""
    if b'\\"' in body or body.count(b'"') > 4 * _MAX_VALUES:  # a quote inside a string would hide how long it is
        return False
    rest = (part for part in body.split(b'"') if len(part) < _MIN_LONG_STRING or not part.isascii() or b"\\" in part)
    return sum(map(len, rest)) <= _MAX_UNICODE_BYTES
