"""`predict.py` as a process: how it starts, refuses to start, bounds its callers and stops."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from facerec.inference.model_file import checksum_path
from facerec.serving import server as server_module
from facerec.serving.server import BoundedProtocol
from facerec.serving.settings import Settings
from tests.harness import connect, free_port, picture, post_json, process, ready, wait_until
from tests.hostile_server import Connection, HostileServer, head
from tests.serving.conftest import Service
from tests.shipped import ROOT
from tests.toy_model import write_toy_landmark_predictor, write_toy_model

PYTHON = [sys.executable, "predict.py"]
FASTAPI = [str(Path(sys.executable).parent / "fastapi"), "run", "predict.py"]


@pytest.mark.parametrize("command", [PYTHON, FASTAPI], ids=["python", "fastapi"])
def test_sigterm_lets_requests_finish_and_then_ends(command: list[str], model: Path) -> None:
    def slow_picture(connection: Connection) -> None:
        upload = picture()
        connection.send(head("200 OK", f"Content-Length: {len(upload)}"))
        connection.server.closing.wait(1)
        connection.send(upload)

    port = free_port()
    service = f"http://127.0.0.1:{port}"
    with HostileServer({"/slow": slow_picture, "/stuck": Connection.stall}) as server:
        variables = {
            "PORT": str(port),
            "FACEREC_MODEL": str(model),
            "FACEREC_DEADLINE": "4",
            "FACEREC_ALLOWED_NETWORKS": "127.0.0.1",
            "FACEREC_ALLOWED_PORTS": str(server.port),
        }
        with process(command, variables) as running:
            wait_until(lambda: ready(service), seconds=30)
            statuses: list[int] = []

            def call(path: str) -> None:
                answer = requests.post(f"{service}/predict", json={"url": server.url(path)}, timeout=20)
                statuses.append(answer.status_code)

            callers = [threading.Thread(target=call, args=(path,)) for path in ["/slow"] * 5 + ["/stuck"]]
            for caller in callers:
                caller.start()
            wait_until(lambda: len(server.heads) == 6)
            running.send_signal(signal.SIGTERM)
            output, _ = running.communicate(timeout=15)
            for caller in callers:
                caller.join()
            assert sorted(statuses) == [200] * 5 + [504]
            assert "Traceback" not in output


@pytest.mark.parametrize("command", [PYTHON, FASTAPI], ids=["python", "fastapi"])
def test_both_ways_to_start_write_one_log_line_a_request_without_its_query(command: list[str], model: Path) -> None:
    port = free_port()
    service = f"http://127.0.0.1:{port}"
    with process(command, {"PORT": str(port), "FACEREC_MODEL": str(model)}) as running:
        wait_until(lambda: ready(service), seconds=30)
        assert requests.get(f"{service}/healthz?token=sesame", timeout=9).status_code == 200
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=15)
    assert output.count("/healthz") == 1
    assert '"route": "/healthz"' in output
    assert "sesame" not in output


def test_one_process_listens_whatever_web_concurrency_says(model: Path) -> None:
    port = free_port()
    variables = {"PORT": str(port), "FACEREC_MODEL": str(model), "WEB_CONCURRENCY": "2"}
    with process(PYTHON, variables, discard_output=True) as running:
        wait_until(lambda: ready(f"http://127.0.0.1:{port}"), seconds=30)
        server = psutil.Process(running.pid)
        assert "LISTEN" in [each.status for each in server.net_connections()]
        assert [child.net_connections() for child in server.children(recursive=True) if child.net_connections()] == []


def test_requests_that_do_not_finish_are_cut_off(model: Path) -> None:
    port = free_port()
    service = f"http://127.0.0.1:{port}"
    with HostileServer({"/stuck": Connection.stall}) as server:
        variables = {
            "PORT": str(port),
            "FACEREC_MODEL": str(model),
            "FACEREC_DEADLINE": "100",
            "FACEREC_SHUTDOWN_SECONDS": "1",
            "FACEREC_ALLOWED_NETWORKS": "127.0.0.1",
            "FACEREC_ALLOWED_PORTS": str(server.port),
        }
        with process(PYTHON, variables) as running:
            wait_until(lambda: ready(service), seconds=30)
            with connect(service) as connection:
                connection.sendall(post_json("/predict", {"url": server.url("/stuck")}))
                wait_until(lambda: server.open == 1)
                running.send_signal(signal.SIGTERM)
                output, _ = running.communicate(timeout=5)
                answer = connection.recv(10_000)
    assert b" 503 " in answer
    assert b'"overloaded"' in answer
    assert "Traceback" not in output


def damaged(directory: Path, damage: str, write: Callable[[Path], None] = write_toy_model) -> Path:
    path = directory / "toy.onnx"
    write(path)
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    else:
        checksum_path(path).write_text("0" * 64)
    return path


@pytest.mark.parametrize("command", [PYTHON, FASTAPI], ids=["python", "fastapi"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "altered"])
def test_a_bad_model_ends_the_process_with_a_clear_line(command: list[str], damage: str, tmp_path: Path) -> None:
    path = damaged(tmp_path, damage)
    with process(command, {"FACEREC_MODEL": str(path), "PORT": str(free_port())}) as running:
        output, _ = running.communicate(timeout=30)
    assert running.returncode != 0
    assert "Traceback" not in output
    said = " ".join(output.split())
    assert "toy.onnx" in said
    assert ("is missing" if damage == "missing" else "truncated or altered") in said


@pytest.mark.parametrize("damage", ["missing", "truncated", "altered", "another model"])
def test_a_bad_landmark_predictor_ends_the_process_with_a_clear_line(damage: str, model: Path, tmp_path: Path) -> None:
    path = model if damage == "another model" else damaged(tmp_path, damage, write_toy_landmark_predictor)
    variables = {"FACEREC_MODEL": str(model), "FACEREC_LANDMARKS": str(path), "PORT": str(free_port())}
    with process(PYTHON, variables) as running:
        output, _ = running.communicate(timeout=30)
    assert running.returncode != 0
    (line,) = (line for line in output.splitlines() if str(path) in line)
    expected = {"missing": "is missing: ", "another model": "can't be used: its outputs are probabilities, "}
    assert f"{path} {expected.get(damage, 'is truncated or altered: ')}" in json.loads(line)["message"]
    assert "Traceback" not in output


@pytest.mark.parametrize("command", [PYTHON, FASTAPI], ids=["python", "fastapi"])
def test_bad_settings_end_the_process_with_a_line_each(command: list[str]) -> None:
    with process(command, {"FACEREC_DEADLINE": "soon", "FACEREC_MAX_BYTES": "-1"}) as running:
        output, _ = running.communicate(timeout=30)
    assert running.returncode != 0
    assert "Traceback" not in output
    assert "FACEREC_DEADLINE: " in output
    assert "FACEREC_MAX_BYTES: " in output


@pytest.fixture
def hurried(serve: Service, model: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(server_module, "_HEAD_SECONDS", 0.3)
    return serve(Settings(model=model))


def closed(connection: socket.socket) -> bool:
    """Whether the service closes the connection without another word."""
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def receive_health(connection: socket.socket) -> None:
    """Receive the whole answer of /healthz, which can arrive in several pieces."""
    answer = b""
    while not answer.endswith(b"}"):
        answer += connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 200 OK")


def ended(connection: socket.socket) -> bool:
    """Whether the service closes the connection, be it after an answer."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(10_000):
            pass
    return True


@pytest.mark.parametrize(
    "start", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nX: y\r\n"], ids=["silence", "line", "headers"]
)
def test_a_slow_head_closes_the_connection(hurried: str, start: bytes) -> None:
    with connect(hurried) as connection:
        connection.settimeout(5)
        connection.sendall(start)
        assert closed(connection)


def test_a_slow_head_of_a_second_request_closes_the_connection_too(hurried: str) -> None:
    with connect(hurried) as connection:
        connection.settimeout(5)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        receive_health(connection)
        connection.sendall(b"GET /healthz")
        assert closed(connection)


def test_an_endless_head_closes_the_connection(serve: Service, model: Path) -> None:
    with connect(serve(Settings(model=model))) as connection:
        connection.settimeout(5)  # less than the time that a slow head may take
        with contextlib.suppress(OSError):
            connection.sendall(b"GET /healthz HTTP/1.1\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 1000)
        assert closed(connection)


def test_endless_trailers_close_the_connection(serve: Service, model: Path) -> None:
    with connect(serve(Settings(model=model))) as connection:
        connection.settimeout(5)  # less than the time that a slow head may take
        with contextlib.suppress(OSError):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
            connection.sendall(b"ab: " + b"x" * 1_400_000)
        assert ended(connection)


@pytest.mark.parametrize(("chunk", "passes"), [(b"1\r\n \r\n", False), (b"400\r\n" + b" " * 1024 + b"\r\n", True)])
def test_a_body_in_thousands_of_tiny_chunks_closes_the_connection(
    serve: Service, model: Path, chunk: bytes, passes: bool
) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect(serve(Settings(model=model))) as connection:
        connection.settimeout(5)
        with contextlib.suppress(OSError):
            connection.sendall(head + chunk * 2000 + b"0\r\n\r\n")
        if passes:
            assert b"422" in connection.recv(100)  # spaces are no JSON
        else:
            assert ended(connection)


@pytest.mark.parametrize(
    "chunked", ["", "Transfer-Encoding: chunked\r\n\r\n0\r\n"], ids=["in the head", "in the trailers"]
)
def test_many_short_headers_close_the_connection(serve: Service, model: Path, chunked: str) -> None:
    """Before they make the bytes that are too many: kept, each takes twenty times its bytes."""
    service = serve(Settings(model=model))
    for count, passes in ((90, True), (101, False)):
        with connect(service) as connection:
            connection.settimeout(4)
            connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: x\r\n{chunked}".encode() + b"a:b\r\n" * count)
            connection.sendall(b"\r\n")
            if passes:
                receive_health(connection)
            else:
                assert ended(connection)


def test_a_body_in_many_chunks_is_not_taken_for_trailers(serve: Service, model: Path) -> None:
    body = json.dumps({"url": "data:," + "x" * 2_000_000}).encode()
    chunks = (body[start : start + 512] for start in range(0, len(body), 512))
    service = serve(Settings(model=model))
    response = requests.post(
        f"{service}/predict", data=chunks, headers={"Content-Type": "application/json"}, timeout=20
    )
    assert response.json()["code"] == "unsupported_picture"


def test_a_request_that_goes_on_after_its_answer_is_cut_off(hurried: str) -> None:
    with connect(hurried) as connection:
        connection.settimeout(4)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        receive_health(connection)
        connection.sendall(b"x")
        assert closed(connection)


def test_a_client_that_does_not_take_its_answers_loses_the_connection(
    serve: Service, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_STALL_SECONDS", 1)
    with connect(serve(Settings(model=model))) as connection:
        ours = connection.getsockname()

        def connected() -> bool:
            return any(each.raddr == ours for each in psutil.Process().net_connections("tcp4") if each.raddr)

        connection.sendall(b"GET /swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 9)
        wait_until(connected)
        wait_until(lambda: not connected())


def test_a_client_that_does_not_take_the_rest_of_its_answers_loses_the_connection(
    serve: Service, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is less than what makes the transport pause, and more than the system's buffers hold."""
    monkeypatch.setattr(server_module, "_STALL_SECONDS", 1)
    real = BoundedProtocol.connection_made

    def with_small_buffer(self: BoundedProtocol, transport: asyncio.Transport) -> None:
        real(self, transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    monkeypatch.setattr(BoundedProtocol, "connection_made", with_small_buffer)
    service = serve(Settings(model=model))
    assert 30_000 < len(requests.get(service, timeout=9).content) < 64_000
    address = urlsplit(service)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((address.hostname, address.port))
        ours = connection.getsockname()

        def connected() -> bool:
            return any(each.raddr == ours for each in psutil.Process().net_connections("tcp4") if each.raddr)

        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        wait_until(connected)
        wait_until(lambda: not connected())


@pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_USER_TIMEOUT")
def test_a_client_that_does_not_take_what_the_system_holds_loses_the_connection(
    serve: Service, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's own buffers hold the whole answer, so that the server has nothing more to write."""
    monkeypatch.setattr(server_module, "_STALL_SECONDS", 1)
    address = urlsplit(serve(Settings(model=model)))
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((address.hostname, address.port))
        ours = connection.getsockname()

        def connected() -> bool:
            return any(each.raddr == ours for each in psutil.Process().net_connections("tcp4") if each.raddr)

        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(connected)
        wait_until(lambda: not connected())


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[BoundedProtocol]:
    """The connections of the services that are started, in their order."""
    made: list[BoundedProtocol] = []
    real = BoundedProtocol.connection_made

    def noted(self: BoundedProtocol, transport: asyncio.Transport) -> None:
        real(self, transport)
        made.append(self)

    monkeypatch.setattr(BoundedProtocol, "connection_made", noted)
    return made


def is_paused(connection: BoundedProtocol) -> bool:
    """Whether the application waits for the client to take some of its answer."""
    return connection.flow is not None and connection.flow.write_paused


def test_the_system_holds_little_of_an_answer(connections: list[BoundedProtocol], serve: Service, model: Path) -> None:
    """Otherwise it takes all of a megabyte for a client that takes nothing, and the server thinks that it is done."""
    address = urlsplit(serve(Settings(model=model)))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((address.hostname, address.port))
        client.sendall(b"GET /swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: any(map(is_paused, connections)))
        (connection,) = filter(is_paused, connections)
        assert connection.cycle
        assert not connection.cycle.response_complete


def test_clients_that_take_their_answers_slowly_are_closed_beyond_a_limit(
    connections: list[BoundedProtocol], serve: Service, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MAX_WAITING_BYTES", 200_000)  # of two or three connections
    monkeypatch.setattr(server_module, "_STALL_SECONDS", 60)  # which is not why they are closed
    service = serve(Settings(model=model))
    ready = len(connections)
    with contextlib.ExitStack() as stack:
        for count in range(ready + 1, ready + 7):
            client = stack.enter_context(connect(service))
            client.sendall(b"GET /swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 9)
            wait_until(lambda count=count: len(connections) == count and is_paused(connections[-1]))  # type: ignore[misc]
        slow = connections[ready:]
        closed = [connection.transport.is_closing() for connection in slow]
        assert len(closed) == 6
        assert closed == sorted(closed, reverse=True)  # those that have waited longest
        assert 3 <= sum(closed) < 6


def test_a_patient_caller_is_not_hurried(hurried: str) -> None:
    with requests.Session() as session:
        for pause in (0.0, 0.5, 0.5):
            threading.Event().wait(pause)
            assert session.get(f"{hurried}/healthz", timeout=5).status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_comparing_faces_starts_no_threads() -> None:
    """NumPy's library for products would start one for each CPU when it is imported."""
    variables = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    code = "import os, predict; print(len(os.listdir('/proc/self/task')))"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "1"
