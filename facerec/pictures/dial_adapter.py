"""An HTTP adapter for requests that takes its connections from a function instead of resolving hosts itself."""

import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Dial = Callable[[str, int], socket.socket]
"""Returns a connected socket for a host and a port."""


class DialAdapter(HTTPAdapter):
    """Gets its connections from `dial`. TLS trusts what `tls` trusts and checks certificates against the URL's host."""

    def __init__(self, dial: Dial, tls: ssl.SSLContext) -> None:
        self._dial = dial
        self._tls = tls
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._tls)

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: `tls` verifies. The inherited method would read the authorities' file for each connection."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = cast(HTTPConnectionPool, super().get_connection_with_tls_context(*args, **kwargs))
        pool.ConnectionCls = _DialledHTTPS if isinstance(pool, HTTPSConnectionPool) else _DialledHTTP
        pool.conn_kw["dial"] = self._dial
        return pool


class _DialledHTTP(HTTPConnection):
    def __init__(self, *args: Any, dial: Dial, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return self._dial(self._dns_host, self.port)


class _DialledHTTPS(_DialledHTTP, HTTPSConnection):
    pass
