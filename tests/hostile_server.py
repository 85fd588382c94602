"""A server on loopback that does to its callers whatever a test scripts, over HTTP or TLS."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Self

Script = Callable[["Connection"], None]


class Connection:
    """One connection of a caller, its request head already read."""

    def __init__(self, server: "HostileServer", sock: socket.socket, head: str) -> None:
        self.server = server
        self.head = head
        self._sock = sock

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)
        self.server.bytes_sent += len(data)

    def respond(self, body: bytes = b"", *, status: str = "200 OK", headers: Iterable[str] = ()) -> None:
        """A whole, truthful answer."""
        self.send(head(status, *headers, f"Content-Length: {len(body)}") + body)

    def drip(self, data: bytes, *, pause: float = 0.05) -> None:
        """Send one byte at a time, for ever, until the caller goes or the server closes."""
        while not self.server.closing.is_set():
            for byte in data:
                self.send(bytes([byte]))
                time.sleep(pause)

    def stall(self) -> None:
        """Say nothing until the caller goes or the server closes."""
        self._sock.settimeout(0.05)
        while not self.server.closing.is_set():
            with contextlib.suppress(TimeoutError):
                if not self._sock.recv(1):
                    return

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self._sock.close()


def head(status: str, *headers: str) -> bytes:
    """An answer's status line and headers."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")


def _not_found(connection: Connection) -> None:
    connection.respond(status="404 Not Found")


class HostileServer:
    """Answers each path by the script given for it, 404 without one."""

    def __init__(
        self, scripts: dict[str, Script], *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1"
    ) -> None:
        self.scripts = scripts
        self.heads: list[str] = []
        """Request heads, in the order of arrival."""
        self.connections = 0
        self.open = 0
        """Connections that are open now."""
        self.bytes_sent = 0
        self.closing = threading.Event()
        self._tls = tls
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def url(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(sock,))
                self._threads = [self._threads[0], *(t for t in self._threads[1:] if t.is_alive()), thread]
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        self.open += 1
        try:
            with contextlib.suppress(OSError):  # the caller has gone, as it should
                if self._tls:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                text = b""
                while b"\r\n\r\n" not in text:
                    received = sock.recv(4096)
                    if not received:
                        return
                    text += received
                self.heads.append(text.decode("latin-1"))
                path = self.heads[-1].split(" ")[1]
                self.scripts.get(path, _not_found)(Connection(self, sock, self.heads[-1]))
                sock.shutdown(socket.SHUT_WR)
        finally:
            sock.close()
            self.open -= 1
