"""Request bodies that may be JSON or a form. FastAPI reads one of the two for a path."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, get_origin

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile

from facerec.serving.errors import InvalidRequest

Json = TypeVar("Json", bound=BaseModel)
Form = TypeVar("Form", bound=BaseModel)

_MAX_FIELD_BYTES = 2**30
"""Bytes of a field that is no file, such as a `data:` URL: `BodyLimitMiddleware` has limited the whole body already."""


def json_or_form(json: type[Json], form: type[Form]) -> Callable[[Request], Awaitable[Json | Form]]:
    """A dependency that reads the body as JSON or as multipart/form-data.

    Args:
        json: what the JSON holds.
        form: what the form holds. Files are `bytes`, other fields `str`; a field that may be repeated is a list.
    """

    async def read(request: Request) -> Json | Form:
        content_type, _ = parse_options_header(request.headers.get("content-type"))
        try:
            if content_type == b"multipart/form-data":
                return form.model_validate(await _form_fields(request, form))
            if b"json" in content_type:
                return json.model_validate_json(await request.body())
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in problems]) from None
        raise InvalidRequest("Send JSON with Content-Type: application/json, or a form as multipart/form-data.")

    return read


def described(json: type[BaseModel], form: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI's description of a body that `json_or_form` reads, for an endpoint's `openapi_extra`."""
    media_types = {"application/json": json, "multipart/form-data": form}
    content = {name: {"schema": fields.model_json_schema()} for name, fields in media_types.items()}
    return {"requestBody": {"required": True, "content": content}}


async def _form_fields(request: Request, form: type[BaseModel]) -> dict[str, Any]:
    """The fields of a form by name.

    Raises:
        InvalidRequest: a field is there more than once that is no list.
    """
    lists = {name for name, field in form.model_fields.items() if get_origin(field.annotation) is list}
    fields: dict[str, Any] = {}
    async with request.form(max_part_size=_MAX_FIELD_BYTES) as sent:
        for name in set(sent):
            values = [await each.read() if isinstance(each, UploadFile) else each for each in sent.getlist(name)]
            if name in form.model_fields and name not in lists and len(values) > 1:
                raise InvalidRequest(f"body.{name}: the form holds this field more than once.")
            fields[name] = values if name in lists else values[0]
    return fields
