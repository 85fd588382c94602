import contextlib
import io
import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from facerec.serving.settings import Settings
from tests.harness import LOOPBACK, connect, picture, post_head, post_json, wait_until
from tests.hostile_server import Connection, HostileServer
from tests.serving.conftest import Service


def answer(connection: socket.socket) -> tuple[int, str]:
    """Status and code of the problem that comes back, after which the service has closed the connection."""
    text = b""
    while received := connection.recv(65536):
        text += received
    head, _, body = text.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


def test_a_body_over_the_limit_is_refused_before_it_is_read(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model, max_bytes=1024))
    with connect(service) as connection:
        connection.sendall(post_head("/predict", "Content-Length: 100000000000"))
        assert answer(connection) == (413, "request_too_large")


def test_a_body_over_the_limit_is_refused_while_it_is_read(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model, max_bytes=1024))
    with connect(service) as connection:
        connection.sendall(post_head("/predict", "Transfer-Encoding: chunked"))
        for _ in range(100):
            connection.sendall(b"400\r\n" + bytes(1024) + b"\r\n")
        assert answer(connection) == (413, "request_too_large")


@pytest.mark.parametrize("chunked", [False, True])
def test_an_ordinary_client_receives_the_refusal(serve: Service, model: Path, chunked: bool) -> None:
    service = serve(Settings(model=model, max_bytes=1024))
    body = io.BytesIO(bytes(5_000_000))
    response = requests.post(
        f"{service}/predict", data=iter(lambda: body.read(65536), b"") if chunked else body, timeout=9
    )
    assert response.status_code == 413
    assert response.json()["code"] == "request_too_large"


def test_a_slow_body_is_given_up(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model, body_seconds=0.3))
    with connect(service) as connection:
        connection.sendall(post_head("/predict", "Content-Length: 1000"))
        start = time.monotonic()
        connection.sendall(b"{")
        assert answer(connection) == (408, "request_timeout")
        assert time.monotonic() - start < 5


def test_bodies_in_memory_are_limited_and_freed(serve: Service, model: Path) -> None:
    settings = Settings(model=model, max_bytes=3_000_000, max_bodies=2, body_seconds=30)
    service = serve(settings)
    slow = [connect(service) for _ in range(2)]
    for connection in slow:
        connection.sendall(post_head("/predict", f"Content-Length: {settings.max_body_bytes}"))
        connection.sendall(bytes(settings.max_body_bytes - 1))
    time.sleep(1)  # what is still on its way is not charged yet
    upload = {"file": picture()}

    def status() -> int:
        return requests.post(f"{service}/predict/upload", files=upload, timeout=9).status_code

    wait_until(lambda: status() == 503)
    response = requests.post(f"{service}/predict/upload", files=upload, timeout=9)
    assert (response.json()["code"], response.headers["Retry-After"]) == ("overloaded", "1")
    for connection in slow:
        connection.close()
    wait_until(lambda: status() == 200)


def test_bodies_that_are_announced_but_not_sent_keep_nobody_out(serve: Service, model: Path) -> None:
    settings = Settings(model=model, max_bodies=2, body_seconds=30)
    service = serve(settings)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connect(service))
            connection.sendall(post_head("/predict", f"Content-Length: {settings.max_body_bytes}") + b"{")
        answer = requests.post(f"{service}/predict/upload", files={"file": picture()}, timeout=9)
        assert answer.status_code == 200


def test_a_body_that_finds_no_more_memory_is_refused_while_it_is_read(serve: Service, model: Path) -> None:
    settings = Settings(model=model, max_bytes=3_000_000, max_bodies=1, body_seconds=30)
    service = serve(settings)
    with connect(service) as slow:
        slow.sendall(post_head("/predict", f"Content-Length: {settings.max_body_bytes}") + bytes(3_000_000))
        time.sleep(1)  # what is still on its way is not charged yet
        answer = requests.post(f"{service}/predict/upload", files={"file": bytes(2_500_000)}, timeout=9)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


@pytest.fixture
def silent() -> Iterator[HostileServer]:
    with HostileServer({"/": Connection.stall}) as server:
        yield server


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_client_that_goes_away_frees_its_slots(
    path: str, serve: Service, model: Path, silent: HostileServer, log: list[str]
) -> None:
    settings = Settings(
        model=model,
        deadline=60,
        max_fetches=1,
        allowed_networks=LOOPBACK,
        allowed_ports=frozenset({silent.port}),
    )
    service = serve(settings)
    body = {"url": silent.url("/")} if path == "/predict" else {"urls": [silent.url("/")]}
    with connect(service) as connection:
        connection.sendall(post_json(path, body))
        wait_until(lambda: silent.open == 1)
        assert requests.post(f"{service}/predict", json={"url": silent.url("/")}, timeout=9).status_code == 503
    wait_until(lambda: silent.open == 0)
    wait_until(lambda: any('"client_gone"' in line for line in log))
    (line,) = [json.loads(line) for line in log if '"client_gone"' in line]
    assert line["pictures"][0]["outcome"] == "cancelled"
    with pytest.raises(requests.ReadTimeout):  # it waits for the picture: the place is free again
        requests.post(f"{service}/predict", json={"url": silent.url("/")}, timeout=0.5)


def test_a_client_that_goes_away_with_a_further_request_frees_its_slot_too(
    serve: Service, model: Path, silent: HostileServer
) -> None:
    settings = Settings(model=model, deadline=60, allowed_networks=LOOPBACK, allowed_ports=frozenset({silent.port}))
    further = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(serve(settings)) as connection:
        connection.sendall(post_json("/predict", {"url": silent.url("/")}) + further)
        wait_until(lambda: silent.open == 1)
    wait_until(lambda: silent.open == 0)


def test_slow_urls_do_not_keep_uploads_waiting(serve: Service, model: Path, silent: HostileServer) -> None:
    settings = Settings(
        model=model,
        deadline=3,
        max_fetches=4,
        allowed_networks=LOOPBACK,
        allowed_ports=frozenset({silent.port}),
    )
    service = serve(settings)
    statuses: list[int] = []

    def call() -> None:
        statuses.append(requests.post(f"{service}/predict", json={"url": silent.url("/")}, timeout=30).status_code)

    callers = [threading.Thread(target=call) for _ in range(12)]
    for caller in callers:
        caller.start()
    wait_until(lambda: silent.open == 4 and len(statuses) == 8)
    assert set(statuses) == {503}  # at once, while four wait
    assert requests.post(f"{service}/predict/upload", files={"file": picture()}, timeout=9).status_code == 200
    for caller in callers:
        caller.join()
    assert sorted(statuses) == [503] * 8 + [504] * 4


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"url": [' + b"[]," * 200_000 + b"[]]}"),
        ("application/json", b"{" * 200_000),
        (
            "application/vnd.api+json; charset=utf-8",
            b'{"url":"x",' + b",".join(b'"%d":1' % i for i in range(5000)) + b"}",
        ),
    ],
    ids=["lists", "depth", "fields"],
)
def test_a_body_of_many_values_is_not_parsed(serve: Service, model: Path, content_type: str, body: bytes) -> None:
    service = serve(Settings(model=model))
    for path in ("/predict", "/predict/upload"):
        response = requests.post(f"{service}{path}", data=body, headers={"Content-Type": content_type}, timeout=9)
        assert (response.status_code, response.json()["code"]) == (413, "request_too_large")
        assert "values" in response.json()["detail"]


def test_a_large_upload_needs_no_file(serve: Service, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    assert len(file.getvalue()) > 2_000_000
    service = serve(Settings(model=model))
    response = requests.post(
        f"{service}/predict/upload", files={"file": file.getvalue()}, data={"framing": "centre"}, timeout=9
    )
    assert response.status_code == 200


def test_a_picture_is_no_text_of_many_values_however_its_form_is_spelt(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model))
    form = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"," * 200_000 + b"\r\n--x--\r\n"
    )
    content_type = "Multipart/Form-Data; boundary=x"
    response = requests.post(f"{service}/predict/upload", data=form, headers={"Content-Type": content_type}, timeout=9)
    assert response.json()["code"] == "unsupported_picture"
