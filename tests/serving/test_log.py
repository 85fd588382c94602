import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from facerec.serving import log as log_module
from facerec.serving.log import LogWriter, route_logging
from tests.harness import ROOT, free_port, process, ready, wait_until


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The ends to read and to write of a pipe."""
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        os.close(end)


def test_lines_are_written_in_order(pipe: tuple[int, int]) -> None:
    log = LogWriter(pipe[1])
    for number in range(100):
        log.write(str(number))
    log.flush()
    assert os.read(pipe[0], 65536).decode().split() == [str(number) for number in range(100)]


def test_a_pipe_that_nobody_reads_keeps_nobody_waiting(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "_MAX_LINES", 100)
    log = LogWriter(pipe[1])
    start = time.monotonic()
    for _ in range(500):
        log.write("x" * 1000)
    assert time.monotonic() - start < 1
    assert log.dropped > 0
    log.flush()
    assert time.monotonic() - start < 3
    dropped = log.dropped
    os.set_blocking(pipe[0], False)
    received = b""

    def drained() -> bool:
        nonlocal received
        try:
            received += os.read(pipe[0], 65536)
        except BlockingIOError:
            return b"were dropped" in received
        return False

    wait_until(drained)
    *lines, last = received.decode().splitlines()
    assert lines == ["x" * 1000] * (500 - dropped)
    assert json.loads(last)["message"] == f"{dropped} lines were dropped"
    log.write("again")
    log.flush()
    assert os.read(pipe[0], 100) == b"again\n"


def test_lines_that_can_not_be_written_are_counted(pipe: tuple[int, int]) -> None:
    log = LogWriter(os.open("/dev/full", os.O_WRONLY))
    for _ in range(3):
        log.write("x")
        log.flush()
    assert log.dropped >= 3


@pytest.fixture
def routed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The lines that a process would write whose logging is routed."""
    lines: list[str] = []
    for owner, name in ((warnings, "showwarning"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    route_logging(lines.append)
    yield lines
    root.handlers, root.level = handlers, level


def test_what_libraries_say_names_its_place_and_quotes_nothing(routed: list[str]) -> None:
    logging.getLogger("python_multipart.multipart").warning("secret")
    logging.getLogger("asyncio").error("secret", exc_info=ValueError("secret"))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning("secret", UserWarning, "/a/b.py", 3)
    thread = threading.Thread(target=lambda: int("secret"))
    thread.start()
    thread.join()
    logging.getLogger("httpx").info("secret")
    multipart, asyncio, warning, failed = map(json.loads, routed)
    assert "secret" not in "".join(routed)
    assert multipart.items() >= {"level": "warning", "logger": "python_multipart.multipart"}.items()
    assert multipart["place"].startswith("test_log.py:")
    assert asyncio["raised"] == "ValueError"
    assert (warning["place"], warning["message"]) == ("b.py:3", "UserWarning")
    assert failed["raised"].startswith("ValueError at test_log.py:")


def test_everything_that_a_service_says_is_json(model: Path) -> None:
    port = free_port()
    service = f"http://127.0.0.1:{port}"
    variables = {"PORT": str(port), "FACEREC_MODEL": str(model), "PYTHONWARNINGS": "always"}
    with process([sys.executable, "predict.py"], variables) as running:
        wait_until(lambda: ready(service), seconds=30)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"SECRET\r\n\r\n")
            assert b"400" in connection.recv(1000)
        headers = {"Content-Type": "multipart/form-data; boundary=b0"}
        form = b"--b0SECRET\r\n\r\n--b0--"
        assert requests.post(f"{service}/predict/upload", data=form, headers=headers, timeout=9).status_code == 422
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "SECRET"}
        requests.get(f"{service}/SECRET", headers=upgrade, timeout=9)
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=15)
    lines = [json.loads(line) for line in output.splitlines()]
    messages = [line.get("message") for line in lines]
    assert f"Uvicorn running on http://0.0.0.0:{port} (Press CTRL+C to quit)" in messages
    assert "Invalid HTTP request received." in messages
    assert "python_multipart.multipart" in [line.get("logger") for line in lines]
    assert messages[-1] == f"Finished server process [{running.pid}]"
    assert "SECRET" not in output


def test_a_service_whose_log_nobody_reads_goes_on_and_stops(model: Path) -> None:
    port = free_port()
    service = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "PORT": str(port), "FACEREC_MODEL": str(model)}
    with subprocess.Popen([sys.executable, "predict.py"], cwd=ROOT, env=environment, stdout=subprocess.PIPE) as running:
        wait_until(lambda: ready(service), seconds=30)
        with requests.Session() as session:
            for _ in range(600):  # of 150 bytes or more: more than the 64 KiB that a pipe holds
                assert session.get(f"{service}/healthz", timeout=5).status_code == 200
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=10) == -signal.SIGTERM
