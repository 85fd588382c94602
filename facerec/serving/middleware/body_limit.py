"""Middleware that bounds request bodies: bytes, values, time, and the memory of all bodies together."""

import asyncio
import contextlib
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facerec.serving.disconnect import ClientGone
from facerec.serving.errors import Overloaded, RequestTimeout, RequestTooLarge, ServiceError
from facerec.serving.problems import problem_response

_MIN_CHARGED_BYTES = 64 * 1024
"""Least number of bytes that a request counts with, because each takes memory besides its body."""
_MAX_VALUES = 100_000
"""Values in a JSON body or a form. 14 MB of empty lists, parsed, would take 400 MB and block the event loop meanwhile.
A picture is a single value. Starlette itself limits the parts of multipart forms."""
_LINGER_SECONDS = 1
"""Seconds to keep reading from a refused client. Closing at once could reset the connection before the client reads the
answer (RFC 9112, section 9.6)."""


class BodyLimitMiddleware:
    """Reads the whole body of a POST before the application sees the request.

    A request in progress is charged the size of its body, or `max_bytes` if it has no Content-Length. All requests
    together may be charged `max_bodies` times `max_bytes`.

    Args:
        app: the application.
        check: checks a request's headers before its body is read, and raises a ServiceError to refuse it.
        max_bytes: bytes of one body.
        seconds: time in which a body must arrive.
        max_bodies: number of bodies of the largest size in memory at the same time.
    """

    def __init__(
        self, app: ASGIApp, *, check: Callable[[Headers], None], max_bytes: int, seconds: float, max_bodies: int
    ) -> None:
        self._app = app
        self._check = check
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._free_bytes = max_bodies * max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        charged = max(int(headers.get("content-length", self._max_bytes)), _MIN_CHARGED_BYTES)
        try:
            self._admit(headers, charged)
        except ServiceError as error:
            await _refuse(error, scope, receive, send)
            return
        self._free_bytes -= charged
        try:
            await self._app(scope, await self._read(receive, headers), send)
            return
        except (RequestTooLarge, RequestTimeout) as error:
            refusal = error
        finally:
            self._free_bytes += charged
        await _refuse(refusal, scope, receive, send)

    def _admit(self, headers: Headers, charged: int) -> None:
        """Raise the error with which a request of `charged` bytes is refused before its body is read."""
        self._check(headers)
        if charged > self._max_bytes:
            raise RequestTooLarge.over(self._max_bytes)
        if charged > self._free_bytes:
            raise Overloaded

    async def _read(self, receive: Receive, headers: Headers) -> Receive:
        """Read the whole body. The result replays it in one message.

        No other reference to the body is kept, so that its memory is freed once the application drops it.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    body += message["body"]
                    if len(body) > self._max_bytes:
                        raise RequestTooLarge.over(self._max_bytes)
                    if not message["more_body"]:
                        break
        except TimeoutError:
            raise RequestTimeout from None
        if not headers.get("content-type", "").lower().startswith("multipart/form-data"):
            _check_values(body)
        return _replay(bytes(body), receive)


def _check_values(body: bytearray) -> None:
    """Raise RequestTooLarge if the body has more separators of JSON and form values than `_MAX_VALUES`."""
    if sum(map(body.count, (b"[", b"{", b",", b"&"))) > _MAX_VALUES:
        raise RequestTooLarge("The request body holds more values than this service reads.")


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that first gives `body` in one message, and then what the original `receive` gives."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


async def _refuse(error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with `error`, keep reading from the client for `_LINGER_SECONDS`, then close the connection."""
    record = scope["state"]["record"]
    record.outcome = error.code
    response = problem_response(error, record.id)
    response.headers["Connection"] = "close"
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
