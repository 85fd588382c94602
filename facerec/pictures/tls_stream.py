"""TLS on an open connection, so that no server can keep the event loop busy.

asyncio's own TLS decrypts all that has arrived in one go: sixteen servers that put each byte into a record of its own
stop the loop for seconds. Here each read decrypts at most one record, and handshakes run in a thread.
"""

import asyncio
import ssl

from facerec.pictures.exchange import send

_RECEIVED_BYTES = 4 * 1024
"""Encrypted bytes that are handed to OpenSSL at once. They may hold a hundred messages that carry no data, such as
session tickets, each of which takes some time."""


class TlsStream:
    """A TLS client on a connection.

    Args:
        reader: receives the encrypted bytes.
        writer: sends them.
        context: what is trusted.
        host: name that the certificate must have, also sent to the server (SNI).
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, context: ssl.SSLContext, host: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._received = ssl.MemoryBIO()
        self._to_send = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)

    async def handshake(self) -> None:
        """Agree on keys, and check the certificate.

        Raises:
            OSError: the connection broke, or the certificate is not one that `context` trusts for `host`.
        """
        while True:
            try:
                await asyncio.to_thread(self._tls.do_handshake)  # the server can make it take a third of a second
                break
            except ssl.SSLWantReadError:
                await self._receive()
        self._send()

    def write(self, data: bytes) -> None:
        """Encrypt and send `data`."""
        self._tls.write(data)
        self._send()

    async def read(self, count: int) -> bytes:
        """At most `count` bytes, none if the server has closed the connection.

        Raises:
            OSError: the connection broke.
        """
        while True:
            try:
                return self._tls.read(count)
            except ssl.SSLWantReadError:
                await self._receive()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def _receive(self) -> None:
        self._send()
        received = await self._reader.read(_RECEIVED_BYTES)
        await asyncio.sleep(0)  # where bytes have already arrived, reading alone does not let other tasks run
        if received:
            self._received.write(received)
        else:
            self._received.write_eof()

    def _send(self) -> None:
        if data := self._to_send.read():
            send(self._writer, data)
