"""All errors that the service answers with, and their HTTP statuses.

ServiceError
├── RequestError            the request can't be answered as it is
│   ├── InvalidRequest      422
│   ├── Unauthorized        401
│   ├── KeyRequiredToEnrol  403
│   ├── NotFound            404
│   ├── MethodNotAllowed    405
│   ├── RequestTimeout      408
│   └── RequestTooLarge     413
├── NoFace                  422
├── PicturesRefused         422
├── PictureFailed           an error of `facerec.pictures`, with the status of `PICTURE_STATUSES`
├── PeopleFailed            an error of `facerec.people`, with the status of `PEOPLE_STATUSES`
└── ServerError             the client did nothing wrong
    ├── Overloaded          503
    ├── InvalidModelOutput  500
    └── InternalError       500
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Self

from facerec.errors import CodedError
from facerec.inference.errors import InvalidOutput, WorkerLost
from facerec.people import errors as people_errors
from facerec.people.errors import NameTaken, PeopleError
from facerec.pictures import errors as picture_errors
from facerec.pictures.errors import PictureError, PoolFull

PICTURE_STATUSES: Mapping[type[PictureError], HTTPStatus] = MappingProxyType(
    {
        picture_errors.UrlNotAllowed: HTTPStatus.BAD_REQUEST,
        picture_errors.InvalidDataUrl: HTTPStatus.BAD_REQUEST,
        picture_errors.Unreachable: HTTPStatus.BAD_GATEWAY,
        picture_errors.FetchTimeout: HTTPStatus.GATEWAY_TIMEOUT,
        picture_errors.TooManyRedirects: HTTPStatus.BAD_GATEWAY,
        picture_errors.UpstreamStatus: HTTPStatus.BAD_GATEWAY,
        picture_errors.UpstreamEncoding: HTTPStatus.BAD_GATEWAY,
        picture_errors.UpstreamTruncated: HTTPStatus.BAD_GATEWAY,
        picture_errors.PictureTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        picture_errors.TooManyPixels: HTTPStatus.UNPROCESSABLE_ENTITY,
        picture_errors.UnsupportedPicture: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        picture_errors.PictureTooCostly: HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""The HTTP status of each error of `facerec.pictures`."""

PEOPLE_STATUSES: Mapping[type[PeopleError], HTTPStatus] = MappingProxyType(
    {
        people_errors.UnknownPerson: HTTPStatus.NOT_FOUND,
        people_errors.UnknownSample: HTTPStatus.NOT_FOUND,
        people_errors.NameNotAllowed: HTTPStatus.UNPROCESSABLE_ENTITY,
        people_errors.NameTaken: HTTPStatus.CONFLICT,
        people_errors.AlreadyEnrolled: HTTPStatus.CONFLICT,
        people_errors.NoFace: HTTPStatus.UNPROCESSABLE_ENTITY,
        people_errors.SeveralFaces: HTTPStatus.UNPROCESSABLE_ENTITY,
        people_errors.FaceTooSmall: HTTPStatus.UNPROCESSABLE_ENTITY,
        people_errors.FaceBlurred: HTTPStatus.UNPROCESSABLE_ENTITY,
        people_errors.FaceTurned: HTTPStatus.UNPROCESSABLE_ENTITY,
        people_errors.UnlikePerson: HTTPStatus.UNPROCESSABLE_ENTITY,
        people_errors.LikeAnotherPerson: HTTPStatus.UNPROCESSABLE_ENTITY,
        people_errors.StoreOfOtherModel: HTTPStatus.SERVICE_UNAVAILABLE,
        people_errors.StoreOfOtherVersion: HTTPStatus.SERVICE_UNAVAILABLE,
        people_errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
        people_errors.StoreNotWritable: HTTPStatus.SERVICE_UNAVAILABLE,
        people_errors.StoreFull: HTTPStatus.INSUFFICIENT_STORAGE,
        people_errors.StoreDamaged: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
"""The HTTP status of each error of `facerec.people`."""


class ServiceError(CodedError):
    """An error that becomes an HTTP response."""

    status: HTTPStatus
    headers: Mapping[str, str] = MappingProxyType({})
    picture: str | None = None
    """The picture as it was read, where the request asks for it and there is one; see `facerec.pictures.preview`."""

    def __init__(self, message: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = headers or self.headers

    @classmethod
    def wrapping(cls, error: Exception) -> "ServiceError":
        """The service's answer for any exception. Unexpected exceptions become an InternalError."""
        match error:
            case ServiceError():
                return error
            case PictureError():
                return PictureFailed(error)
            case PeopleError():
                return PeopleFailed(error)
            case PoolFull() | WorkerLost():
                return Overloaded()
            case InvalidOutput():
                return InvalidModelOutput()
            case _:
                return InternalError()


class RequestError(ServiceError):
    """The request can't be answered as it is."""


class InvalidRequest(RequestError):
    """The body or the parameters are not what the endpoint documents."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid_request"
    message = "The request is not what this endpoint documents."


class Unauthorized(RequestError):
    """The service's key is missing or wrong."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthorized"
    message = "Send the service's key as 'Authorization: Bearer KEY'."
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})  # RFC 9110, section 11.6.1


class KeyRequiredToEnrol(RequestError):
    """The gallery may be changed by holders of the key alone, and there is no key."""

    status = HTTPStatus.FORBIDDEN
    code = "key_required_to_enrol"
    message = (
        "Enrolling is off: the operator turns it on by starting the service with a key in the environment variable "
        "API_KEY, which clients then send as 'Authorization: Bearer KEY'."
    )


class NotFound(RequestError):
    """No endpoint has this path."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"
    message = "There is nothing at this path."


class MethodNotAllowed(RequestError):
    """The endpoint does not take this method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"
    message = "This path does not take this method."


class RequestTooLarge(RequestError):
    """The request body has more bytes or values than the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "request_too_large"
    message = "The request body is larger than this service reads."

    @classmethod
    def over(cls, limit: int) -> Self:
        """The error for a body of more than `limit` bytes."""
        return cls(f"The request body has more than {limit:,} bytes, the most that this service reads.")


class RequestTimeout(RequestError):
    """The request body did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "request_timeout"
    message = "The request body took too long to arrive."


class NoFace(ServiceError):
    """No face was found in the picture."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "no_face"
    message = (
        "No face was found: send a picture with an upright face that measures at least 4 % of its longer side, or "
        "framing=centre with a picture that is already cropped to a face."
    )

    def __init__(self, message: str | None = None, *, picture: str | None = None) -> None:
        super().__init__(message)
        self.picture = picture


class PicturesRefused(ServiceError):
    """None of several pictures can be enrolled."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "pictures_refused"
    message = "None of the pictures can be enrolled."

    @classmethod
    def because(cls, reasons: Mapping[int, ServiceError]) -> Self:
        """The error for pictures that were refused for these reasons, by their index."""
        parts = (f"picture {index}: {error.code}: {error}" for index, error in sorted(reasons.items()))
        return cls(" ".join((cls.message, *parts)))


class PictureFailed(ServiceError):
    """An error of `facerec.pictures`, with its HTTP status."""

    def __init__(self, error: PictureError) -> None:
        super().__init__(str(error))
        self.status = PICTURE_STATUSES[type(error)]
        self.code = error.code


class PeopleFailed(ServiceError):
    """An error of `facerec.people`, with its HTTP status."""

    def __init__(self, error: PeopleError) -> None:
        message = str(error)
        if isinstance(error, NameTaken) and error.person_id:
            message += f" The person's id is {error.person_id}: POST /people/{error.person_id}/samples adds samples."
        super().__init__(message)
        self.status = PEOPLE_STATUSES[type(error)]
        self.code = error.code


class ServerError(ServiceError):
    """The service can't answer, through no fault of the client."""


class Overloaded(ServerError):
    """The service is working on as much as its limits allow."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "overloaded"
    message = "The service is busy; try again shortly."
    headers = MappingProxyType({"Retry-After": "1"})


class InvalidModelOutput(ServerError):
    """A model's output holds NaN or infinity."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "invalid_output"
    message = "The model gave no usable answer for this picture."


class InternalError(ServerError):
    """An unexpected exception."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "internal_error"
    message = "Something went wrong inside the service."
