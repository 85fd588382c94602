"""Fetch an image from a client-supplied URL without exposing the internal network (SSRF protection).

Each URL, redirects included, is parsed once: the object that was found permitted is the one that is requested. Its host
is resolved once, all of its addresses are checked, and only an address that was checked is dialled. Neither a second
reading of the URL nor a second look-up (DNS rebinding) can lead elsewhere. TLS still checks the certificate against the
URL's host. One deadline covers the whole fetch.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path

import certifi
import h11
import httpx

from facerec import __version__
from facerec.pictures.addresses import Address, Network, may_dial
from facerec.pictures.bounded_pool import BoundedPool, Slots
from facerec.pictures.errors import (
    FetchTimeout,
    TooManyRedirects,
    Unreachable,
    UpstreamEncoding,
    UpstreamStatus,
    UrlNotAllowed,
)
from facerec.pictures.exchange import Exchange, send
from facerec.pictures.tls_stream import TlsStream
from facerec.pictures.urls import DEFAULT_PORTS, ascii_host, literal_address, parse_url, redirect_target

_MAX_DIALLED_ADDRESSES = 4
"""Addresses of one host that are tried. A name may resolve to a thousand, all of them other people's hosts."""
_REDIRECT_STATUSES = {301, 302, 303, 307, 308}
_COMPRESSIONS = {"br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "x-compress", "x-gzip", "zstd"}
"""Values of Content-Encoding for which the body is not the picture itself (IANA's registry of HTTP content codings).
Servers also send names there that are no codings, such as `aws-chunked` or `utf-8`."""
_ACCEPT = (
    b"image/jpeg, image/png, image/webp, image/gif, image/bmp, image/tiff, image/heic, image/avif, "
    b"*/*;q=0.1"  # some servers call every file application/octet-stream
)

_CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
"""Python's default ciphers of TLS 1.2, less those of DHE: there the server chooses the group, and one of 10,000 bits
stops the event loop for seconds."""

Resolve = Callable[[str, int], Iterable[str]]
"""Returns the IP addresses of a host and port as text."""


def resolve_host(host: str, port: int) -> list[str]:
    """The addresses of `host` from the system's resolver.

    Raises:
        OSError: the name can't be resolved.
    """
    return [str(answer[4][0]) for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """What may be fetched.

    Attributes:
        deadline: seconds for the whole fetch: look-up, connecting, TLS, headers, body and redirects.
        max_bytes: bytes of the content.
        max_redirects: redirects that are followed.
        allowed_ports: ports besides 80 and 443.
        allowed_networks: networks besides the public ones.
    """

    deadline: float
    max_bytes: int
    max_redirects: int = 3
    allowed_ports: frozenset[int] = frozenset()
    allowed_networks: tuple[Network, ...] = ()


class Fetcher:
    """Fetches pictures over http and https.

    Args:
        limits: what may be fetched.
        slots: each fetch takes one.
        resolve: finds the addresses of a host. It is called in a thread.
        ca_file: PEM file of certificate authorities that TLS trusts in addition to those of certifi.
        contact: address or URL of the operator, sent to the pictures' servers as part of the User-Agent.

    Attributes:
        look_ups: the threads that `resolve` is called in.
    """

    def __init__(
        self,
        limits: FetchLimits,
        *,
        slots: Slots,
        resolve: Resolve = resolve_host,
        ca_file: Path | None = None,
        contact: str | None = None,
    ) -> None:
        # Twice as many threads as fetches: a look-up that hangs keeps its thread when its client has gone.
        self.look_ups = BoundedPool("look_up", threads=2 * slots.capacity)
        self._limits = limits
        self._slots = slots
        self._resolve = resolve
        self._tls = ssl.create_default_context(cafile=certifi.where())
        self._tls.set_ciphers(_CIPHERS)
        self._tls.options |= ssl.OP_NO_RENEGOTIATION  # a further handshake would run in the event loop
        if ca_file:
            self._tls.load_verify_locations(ca_file)
        user_agent = f"face-recognition/{__version__}" + (f" (+{contact})" if contact else "")
        self._headers = [
            (b"User-Agent", user_agent.encode()),
            (b"Accept", _ACCEPT),
            (b"Accept-Encoding", b"identity"),  # a compressed answer could be a decompression bomb
            (b"Connection", b"close"),
        ]

    def close(self) -> None:
        """Start no more look-ups. Those that run finish."""
        self.look_ups.close()

    async def fetch(self, url: str) -> bytes:
        """The content of `url`.

        Raises:
            UrlError: see the tree in `facerec.pictures.errors`.
            PictureTooLarge: the content has more than `limits.max_bytes`.
            PoolFull: too many fetches or look-ups are running.
        """
        parsed = self._parse(url)
        deadline = asyncio.get_running_loop().time() + self._limits.deadline
        with self._slots.one():
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._follow(parsed, deadline)
            except TimeoutError:
                raise FetchTimeout from None

    async def _follow(self, url: httpx.URL, deadline: float) -> bytes:
        """The content of `url` or of what it redirects to."""
        for _ in range(self._limits.max_redirects + 1):
            reader, writer = await self._dial(url, deadline)
            try:
                stream = await self._encrypt(url, reader, writer) if url.scheme == "https" else None
                read, write = (stream.read, stream.write) if stream else (reader.read, partial(send, writer))
                exchange = Exchange(read, write, max_bytes=self._limits.max_bytes)
                response = await exchange.get(url, self._headers)
                location = dict(response.headers).get(b"location")
                if response.status_code not in _REDIRECT_STATUSES or location is None:
                    _check_head(response)
                    return await exchange.body(response)
            finally:
                writer.transport.abort()
            try:
                url = self._parse(redirect_target(url, location))
            except UrlNotAllowed:  # not the client's fault, and a refused address must look unreachable
                raise Unreachable from None
        raise TooManyRedirects

    def _parse(self, url: str) -> httpx.URL:
        return parse_url(url, allowed_ports=self._limits.allowed_ports, allowed_networks=self._limits.allowed_networks)

    async def _dial(self, url: httpx.URL, deadline: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the host of `url`, after all of its addresses were found permitted.

        Each address that is tried gets its part of the time that remains.

        Raises:
            Unreachable: an address is not permitted, or none of those tried accepts a connection.
            FetchTimeout: the last address takes too long.
        """
        host, port = ascii_host(url), url.port or DEFAULT_PORTS[url.scheme]
        addresses = await self._addresses(host, port)
        if not all(may_dial(address, self._limits.allowed_networks) for address in addresses):
            raise Unreachable
        dialled = addresses[:_MAX_DIALLED_ADDRESSES]
        failure: Exception = Unreachable()
        for tried, address in enumerate(dialled):
            now = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout_at(now + (deadline - now) / (len(dialled) - tried)):
                    return await asyncio.open_connection(str(address), port)
            except TimeoutError:
                failure = FetchTimeout()
            except OSError:
                failure = Unreachable()
        raise failure

    async def _encrypt(self, url: httpx.URL, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> TlsStream:
        """TLS on a connection to the host of `url`.

        Raises:
            Unreachable: the handshake failed.
        """
        stream = TlsStream(reader, writer, context=self._tls, host=ascii_host(url).rstrip("."))
        try:
            await stream.handshake()
        except OSError:
            raise Unreachable from None
        return stream

    async def _addresses(self, host: str, port: int) -> list[Address]:
        if literal := literal_address(host):
            return [literal]
        try:
            addresses = list(await self.look_ups.run(self._resolve, host, port))
        except (OSError, UnicodeError):  # Python's own encoding of the name raises UnicodeError
            raise Unreachable from None
        if not addresses:
            raise Unreachable
        return [ip_address(address) for address in addresses]


def _check_head(response: h11.Response) -> None:
    """Make sure that the body of `response` is the picture.

    Raises:
        UpstreamStatus: another status than 200.
        UpstreamEncoding: the body is compressed.
    """
    if response.status_code != HTTPStatus.OK:
        raise UpstreamStatus(f"The picture's server answered with status {response.status_code}.")
    encodings = b",".join(value for name, value in response.headers if name == b"content-encoding").decode("latin-1")
    if _COMPRESSIONS & {encoding.strip().lower() for encoding in encodings.split(",")}:
        raise UpstreamEncoding
