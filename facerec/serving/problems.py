"""Errors as problem details (RFC 9457)."""

from collections import defaultdict
from http import HTTPStatus
from typing import Any, NoReturn

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from facerec.errors import CodedError
from facerec.serving.errors import InvalidRequest, MethodNotAllowed, NotFound, ServiceError

MEDIA_TYPE = "application/problem+json"
_VALIDATION_MESSAGES = {
    "extra_forbidden": "there is a field that this endpoint does not know",
    "json_invalid": "the body is not JSON",
    "model_attributes_type": "the body is not a JSON object, or was sent without Content-Type: application/json",
}
"""Messages by pydantic's error type, where pydantic's own message would repeat the client's input or mislead."""
_FIELD_MESSAGES = {
    "bytes_type": "this is not a file: send one with a file name, as `curl -F file=@photo.jpg` does",
    "uuid_parsing": "this is not an id, as GET /people lists them",
}
"""The same for errors of one field, which is named before them."""
_MAX_MESSAGES = 5
"""Problems of one request that its answer lists."""


class Problem(BaseModel):
    """Why there is no result (RFC 9457). Programs go by `code`, which is stable; people read `detail`."""

    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status, here too for results inside a batch.")
    code: str = Field(description="The stable name of this error.")
    detail: str
    request_id: str = Field(description="The X-Request-ID of the answer and of the service's log.")
    picture: str | None = Field(
        default=None, description="With `no_face`, where the request asks for it: the picture, as in a prediction."
    )

    @classmethod
    def of(cls, error: ServiceError, request_id: str) -> "Problem":
        return cls(
            title=error.status.phrase,
            status=error.status,
            code=error.code,
            detail=str(error),
            request_id=request_id,
            picture=error.picture,
        )


def problem_response(error: ServiceError, request_id: str) -> Response:
    """The HTTP response for `error`."""
    return Response(
        Problem.of(error, request_id).model_dump_json(exclude_none=True),
        status_code=error.status,
        headers=dict(error.headers),
        media_type=MEDIA_TYPE,
    )


def openapi_responses(*errors: type[CodedError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the answers of an endpoint that can raise `errors` or any of their subclasses."""
    by_status: dict[HTTPStatus, list[ServiceError]] = defaultdict(list)
    for error in errors:
        for leaf in error.leaves():
            answer = ServiceError.wrapping(leaf())
            by_status[answer.status].append(answer)
    return {
        int(status): {
            "description": " or ".join(f"`{answer.code}`" for answer in answers),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {
                        answer.code: {"value": Problem.of(answer, "4f0c...").model_dump(exclude_none=True)}
                        for answer in answers
                    },
                }
            },
        }
        for status, answers in by_status.items()
    }


async def raise_invalid_request(_: Request, error: Exception) -> NoReturn:
    """Turn FastAPI's validation error, which repeats the client's input, into one that names the fields alone."""
    assert isinstance(error, RequestValidationError)
    messages = list(dict.fromkeys(map(_validation_message, error.errors())))  # each once
    more = len(messages) - _MAX_MESSAGES
    raise InvalidRequest(
        "; ".join(messages[:_MAX_MESSAGES]) + (f"; and {more} more problems" if more > 0 else "")
    ) from None


async def raise_service_error(_: Request, error: Exception) -> NoReturn:
    """Turn what Starlette and FastAPI raise themselves into a ServiceError: wrong path or method, unreadable body."""
    assert isinstance(error, HTTPException)
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            raise NotFound from None
        case HTTPStatus.METHOD_NOT_ALLOWED:
            raise MethodNotAllowed(headers=error.headers) from None
        case _:
            raise InvalidRequest(error.detail) from None


def _validation_message(problem: dict[str, Any]) -> str:
    """The message for one of pydantic's errors. It never holds what the client sent, such as a field's name."""
    place = ".".join(map(str, problem["loc"]))
    if problem["type"] == "json_invalid" and isinstance(problem["loc"][-1], str) and problem["loc"] != ("body",):
        return f"{place}: this is not JSON"  # a field of a form
    field_message = _FIELD_MESSAGES.get(problem["type"], problem["msg"])
    return _VALIDATION_MESSAGES.get(problem["type"]) or f"{place}: {field_message}"
