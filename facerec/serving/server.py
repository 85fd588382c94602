"""Serving with uvicorn within the bounds that `fastapi run` has no options for."""

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from facerec.serving.settings import Settings

_HEAD_SECONDS = 10
_HEAD_BYTES = 64 * 1024
_FRAMING_BYTES = 2**20
"""Of a request apart from its body: head, lengths of chunks and trailers, which no application sees."""
_MAX_HEADERS = 100
"""Of a request, trailers included: a short one takes twenty times its bytes of memory."""
_STALL_SECONDS = 10
"""How long a caller may take nothing of an answer that waits for it."""


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve `app` until SIGTERM or SIGINT; requests in progress then have `settings.shutdown_seconds` to finish."""
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedProtocol,
        ws="none",
        access_log=False,  # the application writes its own, without URLs
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, closing connections that are late, endless, or don't take their answers.

    The application bounds bodies itself; what stands around them it never sees.
    """

    _patience: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _framing_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        self._answer_taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._framing_bytes += len(data)
        super().data_received(data)
        if self._framing_bytes > (_HEAD_BYTES if self._patience else _FRAMING_BYTES):
            self.transport.abort()
        elif self.cycle and self.cycle.response_complete and not (self._patience or self.timeout_keep_alive_task):
            self._await_head()  # the rest of a request that is answered already, after which uvicorn waits for ever

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._framing_bytes = 0
        if not self._patience:  # a further request on a kept connection
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) < _MAX_HEADERS:
            super().on_header(name, value)
        else:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._framing_bytes -= len(body)
        super().on_body(body)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_taking(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._answer_taken()
        super().resume_writing()

    def _await_head(self) -> None:
        self._patience = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _head_arrived(self) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience = None

    def _await_taking(self, left: int) -> None:
        """Give the caller time to take some of the `left` bytes that wait for it, and then more time for the rest."""

        def look() -> None:
            if (now := self.transport.get_write_buffer_size()) >= left:
                self.transport.abort()
            else:
                self._await_taking(now)

        self._stall = self.loop.call_later(_STALL_SECONDS, look)

    def _answer_taken(self) -> None:
        if self._stall:
            self._stall.cancel()
            self._stall = None
