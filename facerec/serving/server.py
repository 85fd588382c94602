"""The uvicorn server of `python predict.py`, with limits that `fastapi run` has no options for."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from facerec.serving.log import LogWriter, route_logging
from facerec.serving.settings import Settings

_HEAD_SECONDS = 10
"""Seconds in which the request line and the headers must arrive."""
_MAX_HEAD_BYTES = 64 * 1024
"""Bytes of the request line and the headers."""
_MAX_OVERHEAD_BYTES = 2**20
"""Bytes of a request besides its body: head, lengths of chunks and trailers, which the application never sees."""
_MAX_HEADERS = 100
"""Headers and trailers of a request. A short one takes twenty times its bytes of memory."""
_FREE_PIECES = 500
_MIN_PIECE_BYTES = 256
"""Average size of the pieces of a body beyond the free ones. Each chunk is a piece at least; clients send kilobytes."""
_STALL_SECONDS = 10
"""Seconds in which a client must take some of the answer that waits for it."""
_SEND_BUFFER_BYTES = 65_536
"""Bytes of answers that the system holds for a connection. It takes twice as much memory. Left alone, the system holds
megabytes, which no other limit here counts."""
_MAX_WAITING_BYTES = 16 * 2**20
"""Bytes of answers, over all connections, that wait for clients to take them. An answer with a picture has up to 3 MB.
"""
_FEED_BYTES = 4096
"""Bytes that are parsed at a time. uvicorn takes up to 256 KiB from a connection at once: 14,000 short requests."""
_MAX_QUEUED_REQUESTS = 10
"""Requests of a connection that wait for the answer to an earlier one. Each takes 3 kB of memory."""
_MAX_CONNECTIONS = 500
"""Open connections. Processes may often have 1,024 descriptors, and fetches need some of them."""


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """The configuration of the server. `logging` is left as it is: see `facerec.serving.log`."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        root_path=settings.root_path,
        http=BoundedProtocol,
        ws="none",
        workers=1,  # uvicorn would otherwise read WEB_CONCURRENCY
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def serve(app: FastAPI, settings: Settings, log: LogWriter) -> None:
    """Serve `app` until SIGTERM or SIGINT. Requests in progress then have `settings.shutdown_seconds` to finish.

    Everything that is logged meanwhile becomes a JSON line of `log`.
    """
    route_logging(log.write)
    with contextlib.suppress(KeyboardInterrupt):
        _LoggedServer(server_config(app, settings), log).run()


class _LoggedServer(uvicorn.Server):
    """uvicorn's server, which writes the last lines of the log before a signal ends the process."""

    def __init__(self, config: uvicorn.Config, log: LogWriter) -> None:
        super().__init__(config)
        self._log = log

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():  # raises the signal again when it is left
            try:
                yield
            finally:
                self._log.flush()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which also closes connections that are slow, endless, or don't take their answers.

    It also limits the connections, and the requests that are queued on each.
    `BodyLimitMiddleware` limits the bodies themselves.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _waits_since = 0.0
    _running: RequestResponseCycle | None = None
    _overhead_bytes = 0
    _body_bytes = 0
    _pieces = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _limit_send_buffer(transport.get_extra_info("socket"))
        if len(self.connections) > _MAX_CONNECTIONS and not self._close_an_idle_connection():
            transport.abort()
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_stall_timer()
        if self._running and not self._running.response_complete:
            # uvicorn tells only the request that arrived last: the one in progress may be an earlier one.
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _FEED_BYTES):
            self._feed(data[start : start + _FEED_BYTES])
            if self.transport.is_closing():
                return

    def _feed(self, data: bytes) -> None:
        self._overhead_bytes += len(data)
        super().data_received(data)
        overhead = self._overhead_bytes > (_MAX_HEAD_BYTES if self._head_timer else _MAX_OVERHEAD_BYTES)
        if overhead or len(self.pipeline) > _MAX_QUEUED_REQUESTS:
            self.transport.abort()
        elif self.cycle and self.cycle.response_complete and not (self._head_timer or self.timeout_keep_alive_task):
            # The rest of a request that was already answered: uvicorn would wait for the next one without a limit.
            self._start_head_timer()
        self._watch_closing()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._overhead_bytes = self._body_bytes = self._pieces = 0
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
        if not self.pipeline:  # else the request waits for the answers to earlier ones
            self._running = self.cycle

    def on_body(self, body: bytes) -> None:
        self._overhead_bytes -= len(body)
        self._body_bytes += len(body)
        self._pieces += 1
        if self._pieces > _FREE_PIECES + self._body_bytes // _MIN_PIECE_BYTES:
            self.transport.abort()
        else:
            super().on_body(body)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waits_since = self.loop.time()
        self._start_stall_timer(self.transport.get_write_buffer_size())
        self._limit_waiting_bytes()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():
            self._stop_stall_timer()
        super().resume_writing()

    def on_response_complete(self) -> None:
        if self.pipeline:
            self._running = self.pipeline[-1][0]  # which uvicorn starts now
        super().on_response_complete()
        self._watch_closing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch_closing()

    def _watch_closing(self) -> None:
        """Abort a connection that is to be closed, unless the client takes the rest of its answers in time.

        The transport would wait for the client without a limit, and calls `pause_writing` only where 64 KiB wait.
        """
        if self.transport.is_closing() and not self._stall_timer and (rest := self.transport.get_write_buffer_size()):
            self._waits_since = self.loop.time()
            self._start_stall_timer(rest)
            self._limit_waiting_bytes()

    def _close_an_idle_connection(self) -> bool:
        """Close a connection that is between two requests, or has sent none yet; tell whether there is one."""
        for connection in self.connections:
            if (
                isinstance(connection, BoundedProtocol)
                and connection is not self
                and (connection.cycle is None or connection.cycle.response_complete)
                and not connection.transport.is_closing()
            ):
                connection.transport.abort()
                return True
        return False

    def _limit_waiting_bytes(self) -> None:
        """Abort the connections whose clients have taken longest, until what waits is within the limit."""
        slow = [each for each in self.connections if isinstance(each, BoundedProtocol) and each._stall_timer]
        waiting = sum(each.transport.get_write_buffer_size() for each in slow)
        for connection in sorted(slow, key=lambda each: each._waits_since):
            if waiting <= _MAX_WAITING_BYTES:
                break
            waiting -= connection.transport.get_write_buffer_size()
            connection.transport.abort()

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


def _limit_send_buffer(connection: socket.socket) -> None:
    """Let the system hold little of an answer, and close the connection if the client takes none of that in time."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT") and connection.family != socket.AF_UNIX:  # Linux, tcp(7)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALL_SECONDS * 1000)
