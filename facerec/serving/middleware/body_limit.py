"""Middleware that bounds request bodies: bytes, content, time, and the memory of all bodies together."""

import asyncio
import contextlib
from collections.abc import Callable

from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facerec.serving.disconnect import ClientGone
from facerec.serving.errors import Overloaded, RequestTimeout, RequestTooLarge, ServiceError
from facerec.serving.middleware.body_content import check_content, check_content_type
from facerec.serving.problems import problem_response
from facerec.serving.tracebacks import drop_tracebacks

_METHODS = {"POST", "PATCH"}
"""The methods of the endpoints that read a body."""
_MIN_CHARGED_BYTES = 64 * 1024
"""Least number of bytes that a request counts with, because each takes memory besides its body."""
_LINGER_SECONDS = 1
"""Seconds to keep reading from a refused client. Closing at once could reset the connection before the client reads the
answer (RFC 9112, section 9.6)."""


class BodyLimitMiddleware:
    """Reads the whole body of a POST or PATCH before the application sees the request.

    A request in progress is charged the bytes of its body that have arrived. All requests together may be charged
    `max_bodies` times `max_bytes`.

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
        self._budget = _Budget(max_bodies * max_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        with contextlib.closing(_Charge(self._budget)) as charge:
            try:
                self._admit(headers)
                messages = await self._read(receive, charge)
            except ServiceError as error:
                scope["state"]["record"].outcome = error.code
                refusal = problem_response(error, scope["state"]["record"].id)
                drop_tracebacks(error)
            else:
                check_content(headers, messages[0]["body"])
                await self._app(scope, _replay(messages, receive), send)
                return
        await _refuse(refusal, receive, send)

    def _admit(self, headers: Headers) -> None:
        """Raise the error with which a request is refused before its body is read."""
        self._check(headers)
        if int(headers.get("content-length", 0)) > self._max_bytes:
            raise RequestTooLarge.over(self._max_bytes)
        check_content_type(headers)

    async def _read(self, receive: Receive, charge: "_Charge") -> list[Message]:
        """Read the whole body. The result holds the one message with which it is replayed.

        Raises:
            Overloaded, RequestTimeout, RequestTooLarge: a limit is exceeded.
        """
        charge.grow_to(_MIN_CHARGED_BYTES)
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
                    charge.grow_to(len(body))
                    if not message["more_body"]:
                        break
        except TimeoutError:
            raise RequestTimeout from None
        return [{"type": "http.request", "body": bytes(body), "more_body": False}]


class _Budget:
    """Bytes that all requests together may still be charged."""

    def __init__(self, free_bytes: int) -> None:
        self.free_bytes = free_bytes


class _Charge:
    """Bytes that one request takes of the budget until it is closed."""

    def __init__(self, budget: _Budget) -> None:
        self._budget = budget
        self._bytes = 0

    def grow_to(self, size: int) -> None:
        """Charge `size` bytes, or as many as before if those are more.

        Raises:
            Overloaded: the budget does not have them.
        """
        added = max(size - self._bytes, 0)
        if added > self._budget.free_bytes:
            raise Overloaded
        self._budget.free_bytes -= added
        self._bytes += added

    def close(self) -> None:
        """Return all bytes to the budget."""
        self._budget.free_bytes += self._bytes
        self._bytes = 0


def _replay(messages: list[Message], receive: Receive) -> Receive:
    """A `receive` that first gives `messages`, and then what the original `receive` gives.

    Nothing else refers to the messages, so that a body's memory is freed once the application drops it.
    """

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


async def _refuse(response: Response, receive: Receive, send: Send) -> None:
    """Send the response, keep reading from the client for `_LINGER_SECONDS`, then close the connection."""
    response.headers["Connection"] = "close"
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
