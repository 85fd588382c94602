"""How errors look on the wire: problem details, RFC 9457."""

from collections import defaultdict
from http import HTTPStatus
from itertools import chain
from typing import Any, NoReturn

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from facerec.serving.errors import InvalidRequest, MethodNotAllowed, NotFound, ServiceError, leaves

MEDIA_TYPE = "application/problem+json"
_SENTENCES = {
    "extra_forbidden": "there is a field that this endpoint does not know",
    "json_invalid": "the body is not JSON",
    "model_attributes_type": "the body is not a JSON object, or was sent without Content-Type: application/json",
}
"""What is wrong with a request, by pydantic's type of error, where its words would repeat the caller's or mislead."""


class Problem(BaseModel):
    """Why there is no result (RFC 9457). Programs go by `code`, which is stable; people read `detail`."""

    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status, here too for results inside a batch.")
    code: str = Field(description="The stable name of this error.")
    detail: str
    request_id: str = Field(description="The X-Request-ID of the answer and of the service's log.")

    @classmethod
    def of(cls, error: ServiceError, request_id: str) -> "Problem":
        return cls(
            title=error.status.phrase,
            status=error.status,
            code=error.code,
            detail=str(error),
            request_id=request_id,
        )


def problem_response(error: ServiceError, request_id: str) -> Response:
    """The answer that `error` is."""
    return Response(
        Problem.of(error, request_id).model_dump_json(),
        status_code=error.status,
        headers=dict(error.headers),
        media_type=MEDIA_TYPE,
    )


def documented(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """What an endpoint that can answer `errors`, or what is under them in the tree, says of them in OpenAPI."""
    by_status: dict[HTTPStatus, list[type[ServiceError]]] = defaultdict(list)
    for leaf in chain.from_iterable(map(leaves, errors)):
        by_status[leaf.status].append(leaf)
    return {
        int(status): {
            "description": " or ".join(f"`{leaf.code}`" for leaf in alike),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {leaf.code: {"value": Problem.of(leaf(), "4f0c...").model_dump()} for leaf in alike},
                }
            },
        }
        for status, alike in by_status.items()
    }


async def raise_invalid_request(_: Request, error: Exception) -> NoReturn:
    """FastAPI's answer to a request that does not validate would repeat the caller's input; ours names the fields."""
    assert isinstance(error, RequestValidationError)
    raise InvalidRequest("; ".join(map(_sentence, error.errors()))) from None


async def raise_service_error(_: Request, error: Exception) -> NoReturn:
    """What Starlette and FastAPI raise themselves: no such path or method, or a body that they can't parse."""
    assert isinstance(error, HTTPException)
    known = {HTTPStatus.NOT_FOUND: NotFound, HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed}
    raise known.get(HTTPStatus(error.status_code), InvalidRequest)(headers=error.headers) from None


def _sentence(problem: dict[str, Any]) -> str:
    """`problem` without anything that the caller wrote: the name of an unknown field is the caller's."""
    return _SENTENCES.get(problem["type"]) or f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
