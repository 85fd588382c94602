"""Fetch an image from a client-supplied URL without exposing the internal network (SSRF protection).

`_Transfer.dial` opens every connection. It resolves the host once, checks all of its addresses, and connects to one
that it checked. Neither a different reading of the URL by another parser, nor a redirect, nor a second look-up (DNS
rebinding) can lead to another address. TLS still checks the certificate against the URL's host. One deadline covers
the whole fetch.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urljoin

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from facerec.pictures.addresses import Address, Network, may_dial
from facerec.pictures.bounded_pool import BoundedPool
from facerec.pictures.dial_adapter import DialAdapter
from facerec.pictures.errors import (
    FetchTimeout,
    PictureTooLarge,
    TooManyRedirects,
    Unreachable,
    UpstreamEncoding,
    UpstreamStatus,
    UpstreamTruncated,
    UrlNotAllowed,
)
from facerec.pictures.urls import literal_address, prepare_request

_CHUNK_BYTES = 64 * 1024
_MAX_DIALLED_ADDRESSES = 4
"""Addresses of one host that are tried. A name may resolve to a thousand, all of them other people's hosts."""
_REDIRECT_STATUSES = {301, 302, 303, 307, 308}

# When the headers of a response are malformed, urllib3 logs the whole URL, which may hold secrets.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

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
        pool: the threads that fetches run in.
        resolve: finds the addresses of a host.
        ca_file: PEM file of the certificate authorities that TLS trusts. `None` trusts those of certifi.
    """

    def __init__(
        self, limits: FetchLimits, pool: BoundedPool, *, resolve: Resolve = resolve_host, ca_file: str | None = None
    ) -> None:
        self._limits = limits
        self._pool = pool
        self._resolve = resolve
        self._tls = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        self._tls.load_verify_locations(ca_file or DEFAULT_CA_BUNDLE_PATH)

    async def fetch(self, url: str) -> bytes:
        """The content of `url`.

        Raises:
            UrlError: see the tree in `facerec.pictures.errors`.
            PictureTooLarge: the content has more than `limits.max_bytes`.
            PoolFull: too many fetches are running.
        """
        transfer = _Transfer(self._limits, self._resolve, self._tls)
        request = transfer.prepare(url)
        try:
            async with asyncio.timeout(self._limits.deadline):
                return await self._pool.run(transfer.run, request)
        except TimeoutError:
            raise FetchTimeout from None
        finally:
            transfer.cancel()  # the thread may still be running if the caller was cancelled or the deadline passed


class _Transfer:
    """One fetch. It runs in one thread and can be cancelled from another."""

    def __init__(self, limits: FetchLimits, resolve: Resolve, tls: ssl.SSLContext) -> None:
        self._limits = limits
        self._resolve = resolve
        self._adapter = DialAdapter(self.dial, tls)
        self._deadline = time.monotonic() + limits.deadline
        self._lock = threading.Lock()
        self._cancelled = False
        self._handle: socket.socket | None = None

    def prepare(self, url: str) -> requests.PreparedRequest:
        """The checked request for `url`."""
        return prepare_request(
            url, allowed_ports=self._limits.allowed_ports, allowed_networks=self._limits.allowed_networks
        )

    def run(self, request: requests.PreparedRequest) -> bytes:
        """Follow `request` and its redirects to the content."""
        try:
            for _ in range(self._limits.max_redirects + 1):
                # A requests.Session would add .netrc, proxies and cookies, and read the bodies of redirects.
                with self._adapter.send(request, stream=True) as response:
                    location = response.headers.get("Location") if response.status_code in _REDIRECT_STATUSES else None
                    if location is None:
                        return self._read(response)
                request = self._redirected(request, location)
            raise TooManyRedirects
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
            raise Unreachable from None
        finally:
            self._adapter.close()

    def dial(self, host: str, port: int) -> socket.socket:
        """A connection to `host`, after all of its addresses were found permitted.

        Raises:
            Unreachable: an address is not permitted, or none of those tried accepts a connection.
            FetchTimeout: connecting takes longer than the deadline.
        """
        addresses = [ip_address(address) for address in self._addresses(host, port)]
        if not all(may_dial(address, self._limits.allowed_networks) for address in addresses):
            raise Unreachable
        dialled = addresses[:_MAX_DIALLED_ADDRESSES]
        failure: Exception = Unreachable()
        for tried, address in enumerate(dialled):
            seconds = (self._deadline - time.monotonic()) / (len(dialled) - tried)
            if seconds <= 0:
                raise FetchTimeout
            try:
                return self._connect(address, port, seconds=seconds)
            except TimeoutError:
                failure = FetchTimeout()
            except OSError:
                failure = Unreachable()
        raise failure

    def _connect(self, address: Address, port: int, *, seconds: float) -> socket.socket:
        connection = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
        self._keep_handle(connection)
        try:
            connection.settimeout(seconds)
            connection.connect((str(address), port))
        except OSError:
            connection.close()
            raise
        connection.settimeout(None)  # from here on `cancel` enforces the deadline
        return connection

    def cancel(self) -> None:
        """End the fetch from another thread: its blocking calls fail, and it opens no further connection."""
        with self._lock:
            self._cancelled = True
            if self._handle:
                with contextlib.suppress(OSError):  # the connection may already be closed
                    self._handle.shutdown(socket.SHUT_RDWR)
                self._handle.close()

    def _keep_handle(self, connection: socket.socket) -> None:
        """Keep a duplicate of the connection for `cancel`: TLS takes over the connection's own descriptor."""
        with self._lock:
            if self._handle:
                self._handle.close()
            if self._cancelled:
                connection.close()
                raise FetchTimeout
            self._handle = connection.dup()

    def _redirected(self, request: requests.PreparedRequest, location: str) -> requests.PreparedRequest:
        # http.client decodes headers as Latin-1, but servers write UTF-8 and spaces into Location.
        location = location.encode("latin-1").decode(errors="replace").replace(" ", "%20")
        try:
            return self.prepare(urljoin(str(request.url), location))
        except (UrlNotAllowed, ValueError):  # not the client's fault, and a refused address must look unreachable
            raise Unreachable from None

    def _addresses(self, host: str, port: int) -> list[str]:
        if literal_address(host):
            return [host]
        try:
            addresses = list(self._resolve(host, port))
        except (OSError, UnicodeError):  # a label longer than 63 characters raises UnicodeError
            raise Unreachable from None
        if not addresses:
            raise Unreachable
        return addresses

    def _read(self, response: requests.Response) -> bytes:
        if response.status_code != HTTPStatus.OK:
            raise UpstreamStatus(f"The picture's server answered with status {response.status_code}.")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UpstreamEncoding
        limit = self._limits.max_bytes
        if (response.raw.length_remaining or 0) > limit:
            raise PictureTooLarge.over(limit)
        content = bytearray()
        try:
            while chunk := response.raw.read(min(_CHUNK_BYTES, limit + 1 - len(content)), decode_content=False):
                content += chunk
                if len(content) > limit:
                    raise PictureTooLarge.over(limit)
        except (urllib3.exceptions.HTTPError, OSError):
            raise UpstreamTruncated from None
        return bytes(content)
