"""Everything that the service can answer instead of a result: one tree, each leaf with its status, code and message.

ServiceError
├── RequestError          the request itself
│   ├── InvalidRequest    422   ├── NotFound         404   ├── RequestTimeout  408
│   ├── Unauthorized      401   ├── MethodNotAllowed 405   └── RequestTooLarge 413
├── UrlError              the URL, or what its server did
│   ├── UrlNotAllowed     400   ├── Unreachable    502   ├── TooManyRedirects  502   ├── UpstreamStatus    502
│   ├── InvalidDataUrl    400   ├── FetchTimeout   504   ├── UpstreamEncoding  502   └── UpstreamTruncated 502
├── PictureError          the bytes
│   ├── PictureTooLarge   413   ├── TooManyPixels  422   ├── UnsupportedPicture 415   └── NoFace            422
└── ServerError           the service
    ├── Overloaded        503   ├── InvalidOutput  500   └── InternalError      500
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import ClassVar, Self


class ServiceError(Exception):
    """An answer that is not a result. `str(error)` is public: it never holds what the caller sent."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    """Stable name of the error, for programs."""
    message: ClassVar[str]
    """What a person reads, unless the error is raised with a more exact message."""
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, message: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message or self.message)
        self.headers = headers or self.headers


def leaves(error: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    """The errors at or under `error` that can be raised."""
    if "code" in vars(error):
        yield error
    for child in error.__subclasses__():
        yield from leaves(child)


class RequestError(ServiceError):
    """The request can't be answered as it stands."""


class InvalidRequest(RequestError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid_request"
    message = "The request is not what this endpoint documents."


class Unauthorized(RequestError):
    status = HTTPStatus.UNAUTHORIZED
    code = "unauthorized"
    message = "Send the service's key as 'Authorization: Bearer KEY'."
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})  # RFC 9110, 11.6.1


class NotFound(RequestError):
    status = HTTPStatus.NOT_FOUND
    code = "not_found"
    message = "There is nothing at this path."


class MethodNotAllowed(RequestError):
    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"
    message = "This path does not take this method."


class RequestTooLarge(RequestError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "request_too_large"
    message = "The request body is larger than this service reads."

    @classmethod
    def over(cls, limit: int) -> Self:
        """For a body of more than `limit` bytes."""
        return cls(f"The request body has more than {limit} bytes, the most that this service reads.")


class RequestTimeout(RequestError):
    status = HTTPStatus.REQUEST_TIMEOUT
    code = "request_timeout"
    message = "The request body took too long to arrive."


class UrlError(ServiceError):
    """The picture could not be had from its URL."""


class UrlNotAllowed(UrlError):
    status = HTTPStatus.BAD_REQUEST
    code = "url_not_allowed"
    message = (
        "The URL is not one that this service fetches: it must have http or https, a public host and a usual port, no "
        "user name, no spaces, and at most 8192 characters."
    )


class InvalidDataUrl(UrlError):
    status = HTTPStatus.BAD_REQUEST
    code = "invalid_data_url"
    message = "The data: URL is not well-formed: use data:image/jpeg;base64,..."


class Unreachable(UrlError):
    """One answer for a refused address, a closed port, a failed look-up or handshake: it must not tell them apart."""

    status = HTTPStatus.BAD_GATEWAY
    code = "unreachable"
    message = "The picture's server could not be reached."


class TooManyRedirects(UrlError):
    status = HTTPStatus.BAD_GATEWAY
    code = "too_many_redirects"
    message = "The picture's server redirects too often."


class UpstreamStatus(UrlError):
    status = HTTPStatus.BAD_GATEWAY
    code = "upstream_status"
    message = "The picture's server did not answer with a picture."


class UpstreamEncoding(UrlError):
    status = HTTPStatus.BAD_GATEWAY
    code = "upstream_encoding"
    message = "The picture's server compressed its answer, though asked not to."


class UpstreamTruncated(UrlError):
    status = HTTPStatus.BAD_GATEWAY
    code = "upstream_truncated"
    message = "The picture's server broke off in the middle of its answer."


class FetchTimeout(UrlError):
    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "fetch_timeout"
    message = "The picture's server took too long."


class PictureError(ServiceError):
    """The bytes are not a picture that the service can use."""


class PictureTooLarge(PictureError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "picture_too_large"
    message = "The picture has more bytes than this service reads."

    @classmethod
    def over(cls, limit: int) -> Self:
        """For a picture of more than `limit` bytes."""
        return cls(f"The picture has more than {limit} bytes, the most that this service reads.")


class TooManyPixels(PictureError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "too_many_pixels"
    message = "The picture has more pixels than this service decodes."

    @classmethod
    def over(cls, limit: int) -> Self:
        """For a picture of more than `limit` pixels."""
        return cls(f"The picture has more than {limit} pixels, the most that this service decodes.")


class UnsupportedPicture(PictureError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_picture"
    message = "The bytes are not a whole JPEG, PNG, WebP, GIF or BMP picture."


class NoFace(PictureError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "no_face"
    message = (
        "No face was found: send a picture with an upright face that measures at least about a twenty-fifth of the "
        "longer side, or framing=centre with a picture that is already cropped to a face."
    )


class ServerError(ServiceError):
    """The caller did nothing wrong."""


class Overloaded(ServerError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "overloaded"
    message = "The service is busy; try again shortly."
    headers = MappingProxyType({"Retry-After": "1"})


class InvalidOutput(ServerError):
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "invalid_output"
    message = "The model gave no usable answer for this picture."


class InternalError(ServerError):
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "internal_error"
    message = "Something went wrong inside the service."
