"""Middleware that answers exceptions with problem details (RFC 9457)."""

import asyncio

from fastapi.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from facerec.serving.disconnect import ClientGone
from facerec.serving.errors import InternalError, Overloaded, ServiceError
from facerec.serving.problems import problem_response
from facerec.serving.telemetry import RequestRecord
from facerec.serving.tracebacks import drop_tracebacks


class ProblemDetailsMiddleware:
    """Answers every exception of the application but ClientGone. No reference to the exception is kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record: RequestRecord = scope["state"]["record"]
        try:
            await self._app(scope, receive, send)
            return
        except ClientGone:
            raise
        except asyncio.CancelledError as error:  # the server stops and has waited long enough for its requests
            answer = _answer(Overloaded(), record)
            drop_tracebacks(error)
        except Exception as error:
            wrapped = ServiceError.wrapping(error)
            if isinstance(wrapped, InternalError) and wrapped is not error:  # an InternalError of a picture is recorded
                record.keep_exception(error)
            answer = _answer(wrapped, record)
            drop_tracebacks(error)
        if record.status is None:
            await answer(scope, receive, send)


def _answer(error: ServiceError, record: RequestRecord) -> Response:
    record.outcome = error.code
    return problem_response(error, record.id)
