"""A proxy on loopback that takes a prefix off the path, as one in front of several services does."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests

PREFIX = "/faces"


@contextmanager
def stripping_proxy(service: str) -> Iterator[str]:
    """The address under which the proxy passes requests on to `service`; it knows nothing beside it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name not in {"Host", "Content-Length"}}
            path = self.path.removeprefix(PREFIX)
            answer = requests.request(self.command, service + path, data=body, headers=headers, timeout=20)
            self.send_response(answer.status_code)
            for name in ("Content-Type", "Content-Security-Policy"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        server.shutdown()
        thread.join()
