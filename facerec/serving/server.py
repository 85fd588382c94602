"""Serving with uvicorn within the bounds that `fastapi run` has no options for."""

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from facerec.serving.settings import Settings

_HEAD_SECONDS = 10
_HEAD_BYTES = 64 * 1024


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
    """uvicorn's HTTP protocol, closing connections whose request line and headers are late or endless.

    The application bounds bodies itself; what comes before the body it never sees.
    """

    _patience: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._patience:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._patience and self._head_bytes > _HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._patience:  # a further request on a kept connection
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._patience = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _head_arrived(self) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience = None
