"""The uvicorn server of `python predict.py`, with limits that `fastapi run` has no options for."""

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from facerec.serving.settings import Settings

_HEAD_SECONDS = 10
"""Seconds in which the request line and the headers must arrive."""
_MAX_HEAD_BYTES = 64 * 1024
"""Bytes of the request line and the headers."""
_MAX_OVERHEAD_BYTES = 2**20
"""Bytes of a request besides its body: head, lengths of chunks and trailers, which the application never sees."""
_MAX_HEADERS = 100
"""Headers and trailers of a request. A short one takes twenty times its bytes of memory."""
_STALL_SECONDS = 10
"""Seconds in which a client must take some of the answer that waits for it."""


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve `app` until SIGTERM or SIGINT. Requests in progress then have `settings.shutdown_seconds` to finish."""
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedProtocol,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which also closes connections that are slow, endless, or don't take their answers.

    `BodyLimitMiddleware` limits the bodies themselves.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _overhead_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_stall_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._overhead_bytes += len(data)
        super().data_received(data)
        if self._overhead_bytes > (_MAX_HEAD_BYTES if self._head_timer else _MAX_OVERHEAD_BYTES):
            self.transport.abort()
        elif self.cycle and self.cycle.response_complete and not (self._head_timer or self.timeout_keep_alive_task):
            # The rest of a request that was already answered: uvicorn would wait for the next one without a limit.
            self._start_head_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._overhead_bytes = 0
        if not self._head_timer:  # a further request on a kept connection
            self._start_head_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) < _MAX_HEADERS:
            super().on_header(name, value)
        else:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._overhead_bytes -= len(body)
        super().on_body(body)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_stall_timer(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._stop_stall_timer()
        super().resume_writing()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _start_stall_timer(self, buffered: int) -> None:
        """Abort the connection unless the client takes some of the `buffered` bytes in time; then check the rest."""

        def check() -> None:
            if (now := self.transport.get_write_buffer_size()) >= buffered:
                self.transport.abort()
            else:
                self._start_stall_timer(now)

        self._stall_timer = self.loop.call_later(_STALL_SECONDS, check)

    def _stop_stall_timer(self) -> None:
        if self._stall_timer:
            self._stall_timer.cancel()
            self._stall_timer = None
