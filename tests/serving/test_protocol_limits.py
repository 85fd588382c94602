"""What one client may do to the server's memory and time with its connections and headers."""

import contextlib
import gc
import resource
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from facerec.serving import server as server_module
from facerec.serving.settings import Settings
from tests.harness import connect, free_port, post_head, process, ready, wait_until
from tests.serving.conftest import Service

HEALTH = b"GET /healthz HTTP/1.1\r\n\r\n"


def answers(connection: socket.socket) -> bytes:
    """All that comes back until the service closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while block := connection.recv(65536):
            received += block
    return received


def test_a_few_requests_may_be_sent_before_the_first_answer(serve: Service, model: Path) -> None:
    with connect(serve(Settings(model=model))) as connection:
        connection.sendall(HEALTH * 10 + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert answers(connection).count(b"200 OK") == 11


def test_a_connection_with_thousands_of_queued_requests_is_closed(model: Path) -> None:
    port = free_port()
    service = f"http://127.0.0.1:{port}"
    variables = {"PORT": str(port), "FACEREC_MODEL": str(model)}
    with (
        process([sys.executable, "predict.py"], variables, discard_output=True) as running,
        contextlib.ExitStack() as stack,
    ):
        wait_until(lambda: ready(service), seconds=30)
        before = psutil.Process(running.pid).memory_info().rss
        connections = [stack.enter_context(connect(service)) for _ in range(10)]
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(HEALTH * 10_000)
        start = time.monotonic()
        assert requests.get(f"{service}/healthz", timeout=30).status_code == 200
        assert time.monotonic() - start < 2
        for connection in connections:
            assert answers(connection).count(b"200 OK") < 500
        assert psutil.Process(running.pid).memory_info().rss < before + 30 * 2**20


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """As many descriptors as the system allows."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("many_descriptors")
def test_idle_connections_make_room_for_others(serve: Service, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_MAX_CONNECTIONS", 20)
    service = serve(Settings(model=model))
    port = int(service.rpartition(":")[2])

    def served() -> int:
        connections = psutil.Process().net_connections("tcp4")
        return sum(each.laddr.port == port and each.status == "ESTABLISHED" for each in connections)

    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connect(service))
            assert served() <= 25
        assert requests.get(f"{service}/healthz", timeout=9).status_code == 200


def test_connections_that_send_a_body_are_not_closed_for_others(
    serve: Service, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MAX_CONNECTIONS", 3)
    service = serve(Settings(model=model))
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(connect(service)) for _ in range(3)]
        for connection in busy:
            connection.sendall(post_head("/predict", "Content-Length: 2", "Expect: 100-continue") + b"{")
            assert b"100 Continue" in connection.recv(1000)  # the service reads the body
        assert answers(stack.enter_context(connect(service))) == b""
        for connection in busy:
            connection.sendall(b"}")
            assert b"422" in connection.recv(1000)


@pytest.mark.parametrize(("seconds", "open_"), [(1, False), (75, True)])
def test_an_idle_connection_is_kept_as_long_as_the_operator_says(
    serve: Service, model: Path, seconds: int, open_: bool
) -> None:
    with connect(serve(Settings(model=model, keep_alive_seconds=seconds))) as connection:
        connection.sendall(HEALTH)
        connection.settimeout(7)
        while b'"ok"' not in connection.recv(10_000):
            pass
        if open_:
            connection.settimeout(6)  # uvicorn's own limit is 5 s
            with pytest.raises(TimeoutError):
                connection.recv(1)
        else:
            assert answers(connection) == b""


def test_cookies_are_not_parsed(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model))
    start = time.monotonic()
    headers = {"Cookie": 'a="' + "\\a" * 30_000 + '"'}
    assert requests.get(f"{service}/healthz", headers=headers, timeout=60).status_code == 200
    assert time.monotonic() - start < 0.5


def test_the_query_is_not_parsed(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model))

    def seconds(headers: dict[str, str], query: str) -> float:
        """The least time of a request, with 60 kB of header or query."""
        with requests.Session() as session:
            return min(
                session.get(f"{service}/healthz?{query}", headers=headers, timeout=60).elapsed.total_seconds()
                for _ in range(10)
            )

    assert seconds({}, "a=%41&" * 10_000) < 3 * seconds({"X-Other": "a=%41&" * 10_000}, "") + 0.01


@pytest.fixture
def no_collector() -> Iterator[None]:
    """No search for reference cycles: only what nothing refers to is freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


NOISE = bytes(range(256)) * 40_000
FORM = "multipart/form-data; boundary=b0"


def form(parameters: bytes) -> bytes:
    """A form of one part of 10 MB, with these parameters of its Content-Disposition."""
    return b"--b0\r\nContent-Disposition: form-data; " + parameters + b"\r\n\r\n" + NOISE + b"\r\n--b0--"


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    ("path", "content_type", "body", "status"),
    [
        ("/predict/upload", FORM, form(b'name="file"; filename="a"'), 415),
        ("/predict/upload", FORM, form(b'name="a"; filename="a"'), 422),
        ("/predict/upload", FORM, form(b'a="b"'), 422),
        ("/predict/upload", FORM, NOISE, 422),
        ("/predict", "application/json", b'{"url": "data:,' + b"a" * 10_000_000 + b'"}', 415),
        ("/predict", "application/json", b'{"url": "http://' + b"a" * 10_000_000 + b'"}', 400),
        ("/predict", "application/json", b'{"urls": "' + b"a" * 10_000_000 + b'"}', 422),
        ("/predict", "application/json", b'{"url": "' + b"a" * 10_000_000, 422),
        ("/predict", "application/json", b"[" + b"a" * 10_000_000, 422),
        ("/predict", "application/json", b"[" * 900 + b" " * 10_000_000, 422),
        ("/predict", "application/json", b"[," * 5_000_000, 413),
        ("/predict/batch", "application/json", b'{"urls": ["data:,' + b"a" * 10_000_000 + b'"]}', 200),
        ("/predict/batch", "application/json", b'{"urls": ["http://' + b"a" * 10_000_000 + b'"]}', 200),
        ("/predict", "text/plain", NOISE, 422),
        ("/nowhere", "text/plain", NOISE, 404),
        ("/healthz", "text/plain", NOISE, 405),
        ("/predict", "text/plain", NOISE * 2, 413),
        ("/predict/upload", "application/x-www-form-urlencoded", NOISE, 422),
    ],
)
def test_refused_bodies_do_not_wait_for_the_garbage_collector(
    serve: Service, model: Path, path: str, content_type: str, body: bytes, status: int
) -> None:
    service = serve(Settings(model=model))

    def post() -> None:
        with requests.Session() as session:
            headers = {"Content-Type": content_type}
            assert session.post(service + path, data=body, headers=headers, timeout=20).status_code == status

    for _ in range(3):
        post()
    before = psutil.Process().memory_info().rss
    for _ in range(10):
        post()
    assert psutil.Process().memory_info().rss < before + 35 * 2**20
