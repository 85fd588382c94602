"""Request bodies: of callers who may ask, at most so many bytes each and together, within so many seconds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facerec.serving.errors import Overloaded, RequestTimeout, RequestTooLarge, ServiceError
from facerec.serving.problems import problem_response

_LEAST_BYTES = 64 * 1024
"""What a request counts with however small its body is: it costs more than that."""
_MAX_VALUES = 100_000
"""Values in a body of JSON or of a form: 14 MB of empty lists, parsed, would take 400 MB and the event loop for as
long. Pictures are one value each; multipart forms have a limit of Starlette's."""
_LINGER_SECONDS = 1
"""How long a refused caller may go on sending. Closing under its hands would lose it the answer (RFC 9112, 9.6)."""


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Intake:
    """Reads the whole body before the application sees the request: what follows never waits for the caller.

    `check` judges a request by its headers before any room is kept for it, and raises what is to be answered instead.
    A request that is in progress counts with the bytes that its body may come to, `max_bytes` if it does not say; all
    together may come to `max_bodies` times `max_bytes`.
    """

    def __init__(
        self, app: ASGIApp, *, check: Callable[[Headers], None], max_bytes: int, seconds: float, max_bodies: int
    ) -> None:
        self._app = app
        self._check = check
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._room = max_bodies * max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        size = max(int(headers.get("content-length", self._max_bytes)), _LEAST_BYTES)
        try:
            self._admit(headers, size)
        except ServiceError as error:
            await _refuse(error, scope, receive, send)
            return
        self._room -= size
        try:
            await self._app(scope, await self._read(receive, headers), send)
            return
        except (RequestTooLarge, RequestTimeout) as error:
            refusal = error
        finally:
            self._room += size
        await _refuse(refusal, scope, receive, send)

    def _admit(self, headers: Headers, size: int) -> None:
        """Raise what a request that brings `size` bytes is refused with before they are read."""
        self._check(headers)
        if size > self._max_bytes:
            raise RequestTooLarge.over(self._max_bytes)
        if size > self._room:
            raise Overloaded

    async def _read(self, receive: Receive, headers: Headers) -> Receive:
        """What `receive` gives, but with the whole body first: nothing but that holds on to it."""
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
    """Raise RequestTooLarge where more of the signs that part the values of JSON and forms occur than anyone needs."""
    if sum(map(body.count, (b"[", b"{", b",", b"&"))) > _MAX_VALUES:
        raise RequestTooLarge("The request body holds more values than this service reads.")


@contextlib.asynccontextmanager
async def while_connected(receive: Receive) -> AsyncIterator[None]:
    """Cancel what is inside when the caller, whose body has been read, goes away.

    Raises:
        ClientGone: it has.
    """
    patience = asyncio.timeout(None)

    async def watch() -> None:
        await receive()  # after the body, the only message is the disconnect
        patience.reschedule(0)

    try:
        async with patience:
            watcher = asyncio.create_task(watch())
            try:
                yield
            finally:
                watcher.cancel()
    except TimeoutError:
        if patience.expired():
            raise ClientGone from None
        raise


def _replay(body: bytes, receive: Receive) -> Receive:
    """What `receive` gives once `body` has been read: first the body in one piece, then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


async def _refuse(error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `error`, let the caller come to the end of what it sends, then close the connection."""
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
