"""Why a picture can't be fetched or decoded.

PictureError
├── UrlError                the picture can't be fetched from its URL
│   ├── UrlNotAllowed
│   ├── InvalidDataUrl
│   ├── Unreachable
│   ├── FetchTimeout
│   ├── TooManyRedirects
│   ├── UpstreamStatus
│   ├── UpstreamEncoding
│   └── UpstreamTruncated
└── ContentError            the bytes are not a picture that can be used
    ├── PictureTooLarge
    ├── TooManyPixels
    ├── UnsupportedPicture
    └── PictureTooCostly

PoolFull                    no capacity to work on another picture
"""

from typing import Self

from facerec.errors import CodedError


class PictureError(CodedError):
    """A picture can't be fetched or decoded."""


class UrlError(PictureError):
    """The picture can't be fetched from its URL."""


class UrlNotAllowed(UrlError):
    """The URL's scheme, host, port or form is not permitted."""

    code = "url_not_allowed"
    message = (
        "The URL is not one that this service fetches: it must have http or https, a public host and a usual port, no "
        "user name, no backslash, and at most 8192 characters. Those that are not ASCII count as their percent-escapes."
    )


class InvalidDataUrl(UrlError):
    """The `data:` URL does not follow RFC 2397."""

    code = "invalid_data_url"
    message = "The data: URL is not well-formed: use data:image/jpeg;base64,..."


class Unreachable(UrlError):
    """No connection to the picture's server.

    A refused address, a closed port, a failed look-up and a failed handshake all give this same error, so that clients
    can't use the service to scan networks.
    """

    code = "unreachable"
    message = (
        "The picture's server could not be reached, or has no public address. The operator can allow other networks "
        "with FACEREC_ALLOWED_NETWORKS."
    )


class FetchTimeout(UrlError):
    """The fetch took longer than its deadline."""

    code = "fetch_timeout"
    message = "The picture's server took too long."


class TooManyRedirects(UrlError):
    """The server redirects more often than the limit."""

    code = "too_many_redirects"
    message = "The picture's server redirects too often."


class UpstreamStatus(UrlError):
    """The server answered with a status other than 200, or with interim responses (1xx) only."""

    code = "upstream_status"
    message = "The picture's server did not answer with a picture."


class UpstreamEncoding(UrlError):
    """The server compressed its answer although asked not to."""

    code = "upstream_encoding"
    message = "The picture's server compressed its answer, though asked not to."


class UpstreamTruncated(UrlError):
    """The body of the answer ends too early, or is not one that HTTP allows."""

    code = "upstream_truncated"
    message = "The picture's server broke off in the middle of its answer, or garbled it."


class ContentError(PictureError):
    """The bytes are not a picture that can be used."""


class PictureTooLarge(ContentError):
    """The file has more bytes than the limit."""

    code = "picture_too_large"
    message = "The picture has more bytes than this service reads."

    @classmethod
    def over(cls, limit: int) -> Self:
        """The error for a picture of more than `limit` bytes."""
        return cls(f"The picture has more than {limit:,} bytes, the most that this service reads.")


class TooManyPixels(ContentError):
    """The picture has more pixels than the limit."""

    code = "too_many_pixels"
    message = "The picture has more pixels than this service decodes."

    @classmethod
    def over(cls, limit: int) -> Self:
        """The error for a picture of more than `limit` pixels."""
        return cls(f"The picture has more than {limit:,} pixels, the most that this service decodes.")


class UnsupportedPicture(ContentError):
    """The bytes are damaged or of a format that is not read."""

    code = "unsupported_picture"
    message = (
        "The bytes are not a whole JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF picture, or of a rare variant: save "
        "it as a usual JPEG."
    )


class PictureTooCostly(ContentError):
    """The picture takes more memory or CPU time than the limits of one picture."""

    code = "picture_too_costly"
    message = (
        "The picture takes more memory or computing time than this service spends on one: send a smaller one, or the "
        "same picture as a usual JPEG."
    )


class PoolFull(Exception):
    """The bounded pool has neither a free thread nor a free place in its queue."""
