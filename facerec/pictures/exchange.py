"""One HTTP exchange on an open connection: a GET request and its response, with limits on the server (RFC 9112).

The code runs in the service's event loop, so that a server must not keep it busy: whatever is read, other tasks run
before the next read, and what is parsed at once is small. h11 parses the heads. It does not see the bodies, as the time
that it takes for the trailers of a chunked body grows with the square of their length.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable

import h11
import httpx

from facerec.pictures.errors import PictureTooLarge, Unreachable, UpstreamStatus, UpstreamTruncated

_READ_BYTES = 64 * 1024
"""Bytes that are read at once."""
_MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a response's head, or of any line."""
_MAX_HEAD_LINES = 102
"""Lines of a response's head: the status, a hundred headers, and the empty line."""
_MAX_INTERIM_RESPONSES = 20
"""Interim responses (1xx, such as 103 Early Hints) that are read past."""
_FREE_CHUNKS = 1000
_MIN_CHUNK_BYTES = 256
"""Average size of chunks beyond the free ones. Servers send chunks of kilobytes."""
_FORBIDDEN_IN_HEAD = re.compile(rb"[\x00\v\f]|\r(?!\n)")
"""What no header may hold (RFC 9110, section 5.5). h11 refuses it too, but may take many seconds to do so."""
_CHUNK_HEAD = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")

Read = Callable[[int], Awaitable[bytes]]
"""Returns at most so many bytes of the server, none if it has closed the connection."""
Write = Callable[[bytes], object]
"""Sends bytes to the server."""


def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send `data` unless the server has closed the connection, for which uvloop would raise a RuntimeError.

    Raises:
        ConnectionResetError: the connection is closed.
    """
    if writer.transport.is_closing():
        raise ConnectionResetError
    writer.write(data)


class Exchange:
    """A GET request and its response.

    Args:
        read: receives from the connection.
        write: sends on the connection.
        max_bytes: bytes of the content that are read.
    """

    def __init__(self, read: Read, write: Write, *, max_bytes: int) -> None:
        self._read_some = read
        self._write = write
        self._max_bytes = max_bytes
        self._received = bytearray()
        self._content = bytearray()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)

    async def get(self, url: httpx.URL, headers: list[tuple[bytes, bytes]]) -> h11.Response:
        """Send the request and return the head of its final response.

        Raises:
            Unreachable: the connection broke, or the response is not HTTP.
            UpstreamStatus: too many interim responses.
        """
        request = h11.Request(method="GET", target=url.raw_path, headers=[(b"Host", url.netloc), *headers])
        try:
            self._write((self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b""))
            for _ in range(_MAX_INTERIM_RESPONSES + 1):
                response = await self._head()
                if isinstance(response, h11.Response):
                    return response
                await asyncio.sleep(0)
        except (h11.RemoteProtocolError, OSError):
            raise Unreachable from None
        raise UpstreamStatus

    async def _head(self) -> object:
        """The next head, an h11.InformationalResponse or an h11.Response."""
        for _ in range(_MAX_HEAD_LINES):
            line = await self._line()
            if _FORBIDDEN_IN_HEAD.search(line):
                raise Unreachable
            self._http.receive_data(line)
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
        raise Unreachable

    async def body(self, response: h11.Response) -> bytes:
        """The content of `response`, in the framing that its head declares (RFC 9112, section 6.3).

        Raises:
            PictureTooLarge: more than `max_bytes`. No more is read.
            UpstreamTruncated: the body ends too early, or is malformed.
        """
        headers = dict(response.headers)  # h11 has checked the two that declare the framing
        length = int(headers.get(b"content-length", 0))
        try:
            if b"transfer-encoding" in headers:
                await self._read_chunks()
            elif length > self._max_bytes:
                raise PictureTooLarge.over(self._max_bytes)
            elif b"content-length" in headers:
                await self._read(length)
            else:
                await self._read_to_end()
        except OSError:
            raise UpstreamTruncated from None
        return bytes(self._content)

    async def _read_to_end(self) -> None:
        """Add all bytes to the content that come before the server closes the connection."""
        while await self._read_piece(self._max_bytes + 1):
            pass

    async def _read(self, count: int) -> None:
        """Add `count` bytes to the content."""
        end = len(self._content) + count
        while len(self._content) < end:
            if not await self._read_piece(end - len(self._content)):
                raise UpstreamTruncated

    async def _read_piece(self, count: int) -> bool:
        """Add at most `count` bytes to the content. False if the connection has ended."""
        count = min(count, self._max_bytes + 1 - len(self._content))
        if not self._received:
            await self._receive()
        piece = self._received[:count]
        del self._received[:count]
        self._content += piece
        if len(self._content) > self._max_bytes:
            raise PictureTooLarge.over(self._max_bytes)
        return bool(piece)

    async def _read_chunks(self) -> None:
        """Add the content of a chunked body (RFC 9112, section 7.1). Its trailers are not read."""
        chunks = 0
        while chunks < _FREE_CHUNKS + len(self._content) // _MIN_CHUNK_BYTES:
            head = _CHUNK_HEAD.fullmatch(await self._line())
            if not head:
                raise UpstreamTruncated
            size = int(head[1], 16)
            if not size:
                return
            await self._read(size)
            if await self._line() not in {b"\r\n", b"\n"}:
                raise UpstreamTruncated
            chunks += 1
            await asyncio.sleep(0)
        raise UpstreamTruncated("The picture's server sends its answer in too small chunks.")

    async def _line(self) -> bytes:
        """The next line with its end, which is missing where the connection ends or the line is too long."""
        searched = 0
        while (end := self._received.find(b"\n", searched) + 1) == 0 and len(self._received) <= _MAX_HEAD_BYTES:
            searched = len(self._received)
            if not await self._receive():
                break
        end = end or len(self._received)
        line = bytes(self._received[:end])
        del self._received[:end]
        return line

    async def _receive(self) -> bool:
        """Wait for bytes of the server. False if the connection has ended."""
        received = await self._read_some(_READ_BYTES)
        self._received += received
        await asyncio.sleep(0)  # where bytes have already arrived, reading alone does not let other tasks run
        return bool(received)
