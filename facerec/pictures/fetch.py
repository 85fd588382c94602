"""Fetch the picture that a stranger's URL names, without becoming the stranger's hand in our own network.

Every connection is dialled by `_Transfer.dial`: one look-up, every answer judged, the judged address dialled, so that
neither another parser's reading of the URL, nor a redirect, nor a second look-up (DNS rebinding) leads elsewhere. TLS
still checks the certificate against the URL's host. The deadline covers all of it, in one place.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urljoin

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from facerec.pictures.addresses import Address, may_dial
from facerec.pictures.bounded_pool import Gate
from facerec.pictures.dial_adapter import DiallingAdapter
from facerec.pictures.urls import literal_address, prepare
from facerec.serving.errors import (
    FetchTimeout,
    PictureTooLarge,
    TooManyRedirects,
    Unreachable,
    UpstreamEncoding,
    UpstreamStatus,
    UpstreamTruncated,
    UrlNotAllowed,
)
from facerec.serving.settings import Settings

_CHUNK = 64 * 1024
_MAX_DIALLED = 4
"""Addresses of one host that are tried: a name may have a thousand, of hosts that are somebody else's."""
_REDIRECTS = {301, 302, 303, 307, 308}

# It logs whole URLs, which may hold secrets, when an answer's headers are odd.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

Resolve = Callable[[str, int], Iterable[str]]


def look_up(host: str, port: int) -> list[str]:
    """The addresses of `host` as the system's resolver has them."""
    return [str(answer[4][0]) for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Fetcher:
    """Fetches pictures over http and https.

    `resolve` finds the addresses of a host, `ca_file` holds the certificate authorities that TLS trusts.
    """

    def __init__(
        self, settings: Settings, gate: Gate, *, resolve: Resolve = look_up, ca_file: str | None = None
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._resolve = resolve
        self._tls = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        self._tls.load_verify_locations(ca_file or DEFAULT_CA_BUNDLE_PATH)

    async def fetch(self, url: str) -> bytes:
        """The content of `url`.

        Raises:
            UrlError: see the tree in `facerec.serving.errors`.
            PictureTooLarge: more than the settings allow.
            Overloaded: too many fetches are under way.
        """
        transfer = _Transfer(self._settings, self._resolve, self._tls)
        request = transfer.prepare(url)
        try:
            async with asyncio.timeout(self._settings.deadline):
                return await self._gate.run(transfer.run, request)
        except TimeoutError:
            raise FetchTimeout from None
        finally:
            transfer.cut()  # whoever waits for it has gone


class _Transfer:
    """One fetch: done in one thread, cut off from another."""

    def __init__(self, settings: Settings, resolve: Resolve, tls: ssl.SSLContext) -> None:
        self._settings = settings
        self._resolve = resolve
        self._adapter = DiallingAdapter(self.dial, tls)
        self._deadline = time.monotonic() + settings.deadline
        self._lock = threading.Lock()
        self._over = False
        self._handle: socket.socket | None = None

    def prepare(self, url: str) -> requests.PreparedRequest:
        """The request for `url`, vetted."""
        return prepare(
            url, allowed_ports=self._settings.allowed_ports, allowed_networks=self._settings.allowed_networks
        )

    def run(self, request: requests.PreparedRequest) -> bytes:
        """Follow `request` and its redirects to the content."""
        try:
            for _ in range(self._settings.max_redirects + 1):
                # The bare adapter: a session would add .netrc, proxies, cookies, and read the body of a redirect.
                with self._adapter.send(request, stream=True) as response:
                    location = response.headers.get("Location") if response.status_code in _REDIRECTS else None
                    if location is None:
                        return self._read(response)
                request = self._redirected(request, location)
            raise TooManyRedirects
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
            raise Unreachable from None
        finally:
            self._adapter.close()

    def dial(self, host: str, port: int) -> socket.socket:
        """A connection to `host`, once every address that it has is found permitted."""
        addresses = [ip_address(address) for address in self._addresses(host, port)]
        if not all(may_dial(address, self._settings.allowed_networks) for address in addresses):
            raise Unreachable
        chosen = addresses[:_MAX_DIALLED]
        failure: Exception = Unreachable()
        for tried, address in enumerate(chosen):
            seconds = (self._deadline - time.monotonic()) / (len(chosen) - tried)
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
        self._hold(connection)
        try:
            connection.settimeout(seconds)
            connection.connect((str(address), port))
        except OSError:
            connection.close()
            raise
        connection.settimeout(None)  # `cut` ends what follows
        return connection

    def cut(self) -> None:
        """End the fetch from another thread: what blocks in it fails, and nothing more is dialled."""
        with self._lock:
            self._over = True
            if self._handle:
                with contextlib.suppress(OSError):  # the other side was quicker
                    self._handle.shutdown(socket.SHUT_RDWR)
                self._handle.close()

    def _hold(self, connection: socket.socket) -> None:
        """Keep what `cut` needs: a duplicate, since TLS takes the connection's own descriptor over."""
        with self._lock:
            if self._handle:
                self._handle.close()
            if self._over:
                connection.close()
                raise FetchTimeout
            self._handle = connection.dup()

    def _redirected(self, request: requests.PreparedRequest, location: str) -> requests.PreparedRequest:
        # Headers are read as Latin-1, while servers write UTF-8, and spaces, into this one.
        location = location.encode("latin-1").decode(errors="replace").replace(" ", "%20")
        try:
            return self.prepare(urljoin(str(request.url), location))
        except (UrlNotAllowed, ValueError):  # what the caller wrote was fine; and a refused address looks unreachable
            raise Unreachable from None

    def _addresses(self, host: str, port: int) -> list[str]:
        if literal_address(host):
            return [host]
        try:
            addresses = list(self._resolve(host, port))
        except (OSError, UnicodeError):  # a label longer than 63 is a UnicodeError
            raise Unreachable from None
        if not addresses:
            raise Unreachable
        return addresses

    def _read(self, response: requests.Response) -> bytes:
        if response.status_code != HTTPStatus.OK:
            raise UpstreamStatus(f"The picture's server answered with status {response.status_code}.")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UpstreamEncoding
        limit = self._settings.max_bytes
        if (response.raw.length_remaining or 0) > limit:
            raise PictureTooLarge.over(limit)
        content = bytearray()
        try:
            while chunk := response.raw.read(min(_CHUNK, limit + 1 - len(content)), decode_content=False):
                content += chunk
                if len(content) > limit:
                    raise PictureTooLarge.over(limit)
        except (urllib3.exceptions.HTTPError, OSError):
            raise UpstreamTruncated from None
        return bytes(content)
