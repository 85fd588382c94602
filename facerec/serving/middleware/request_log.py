"""The outermost middleware: gives each request an id, a log line and its metrics."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facerec.serving.disconnect import ClientGone
from facerec.serving.telemetry import PrometheusMetrics, RequestRecord
from facerec.serving.tracebacks import drop_tracebacks

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SEND_SECONDS = 10
"""Seconds in which a client must receive each part of its answer."""


class RequestLogMiddleware:
    """Gives each request an id, counts it, and writes its log line.

    Args:
        app: the application.
        metrics: counts the requests.
        write: takes each log line, JSON without a line break.
    """

    def __init__(self, app: ASGIApp, *, metrics: PrometheusMetrics, write: Callable[[str], None]) -> None:
        self._app = app
        self._metrics = metrics
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, _without_traceback(send))
            return
        if scope["type"] != "http":  # no endpoint uses WebSocket
            await send({"type": "websocket.close"})
            return
        record = RequestRecord(_request_id(scope))
        scope.setdefault("state", {})["record"] = record
        start = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", record.id.encode()),
                    *_server_timing(record),
                ]
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    await send(message)
            except TimeoutError:
                raise ClientGone from None

        try:
            await self._app(scope, receive, send_with_id)
        except ClientGone as error:
            record.outcome = "client_gone"
            drop_tracebacks(error)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count(route, record)
            self._write(_log_line(scope["method"], route, record, time.perf_counter() - start))


def _server_timing(record: RequestRecord) -> list[tuple[bytes, bytes]]:
    """The Server-Timing header (https://www.w3.org/TR/server-timing/) of a successful request with one picture.

    Other requests have none: the duration of a failed fetch could tell why it failed.
    """
    if record.status != HTTPStatus.OK or len(record.pictures) != 1:
        return []
    stages = record.pictures[0].milliseconds.items()
    return [(b"server-timing", ", ".join(f"{name};dur={milliseconds}" for name, milliseconds in stages).encode())]


def _request_id(scope: Scope) -> str:
    """The X-Request-ID that a proxy gave the request, or a new id."""
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _without_traceback(send: Send) -> Send:
    """A `send` that reduces the traceback of a failed start to its last line, which says what is wrong."""

    async def send_last_line(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            message["message"] = message["message"].strip().rpartition("\n")[2]
        await send(message)

    return send_last_line


def _log_line(method: str, route: str, record: RequestRecord, seconds: float) -> str:
    line: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "id": record.id,
        "method": method,
        "route": route,
        "status": record.status,
        "outcome": record.outcome,
        "milliseconds": round(seconds * 1000, 2),
    }
    if record.pictures:
        line["pictures"] = [vars(picture) for picture in record.pictures]
    if record.raised:
        line["raised"] = record.raised
    return json.dumps(line)
