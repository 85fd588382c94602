"""Many mixed calls, most of them hostile: afterwards the processes hold what they held before."""

import base64
import random
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from tests.harness import connect, free_port, memory, photo, picture, process, ready, saved, wait_until
from tests.hostile_inputs import hostile_files, hostile_requests, upstream_answers
from tests.hostile_server import Connection, HostileServer, head
from tests.pictures.test_decode import png_header

CLIENTS = 16
SOURCES = {
    "/good": lambda c: c.respond(picture("blue")),
    "/hop": lambda c: c.respond(status="302 Found", headers=["Location: /good"]),
    "/loop": lambda c: c.respond(status="302 Found", headers=["Location: /loop"]),
    "/inward": lambda c: c.respond(status="302 Found", headers=["Location: http://10.0.0.1/"]),
    "/gone": lambda c: c.respond(b"gone", status="410 Gone"),
    "/truncated": lambda c: c.send(head("200 OK", "Content-Length: 1000") + b"part"),
    "/reset": Connection.reset,
    "/garbage": lambda c: c.send(random.randbytes(500)),
    "/endless": lambda c: c.send(head("200 OK") + bytes(3_000_000)),
    "/zipped": lambda c: c.respond(b"zip", headers=["Content-Encoding: gzip"]),
    "/bomb": lambda c: c.respond(png_header(40_000, 40_000)),
    "/html": lambda c: c.respond(b"<html>"),
    "/drip": lambda c: c.drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "/silence": Connection.stall,
    **upstream_answers(),
}


def calls(service: str, server: HostileServer) -> list[Callable[[], int | None]]:
    """Every kind of call; each gives the status that came back, None where there is none."""

    def predict(url: str) -> Callable[[], int]:
        return lambda: requests.post(f"{service}/predict", json={"url": url}, timeout=30).status_code

    def post(path: str, data: bytes) -> Callable[[], int]:
        headers = {"Content-Type": "application/json"}
        return lambda: requests.post(service + path, data=data, headers=headers, timeout=30).status_code

    def upload(data: bytes, **fields: str) -> Callable[[], int]:
        return lambda: (
            requests.post(f"{service}/predict/upload", files={"file": data}, data=fields, timeout=30).status_code
        )

    def hang_up(data: bytes) -> Callable[[], None]:
        def call() -> None:
            with connect(service) as connection:
                connection.sendall(data)

        return call

    body = f'{{"url": "{server.url("/silence")}"}}'.encode()
    request = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    data_url = "data:;base64," + base64.b64encode(picture("lime")).decode()
    return [
        *(predict(server.url(path)) for path in SOURCES),
        *(predict(url) for url in (data_url, "data:,nothing", "http://10.0.0.1/", "ftp://x/", "http://localhost:1/")),
        *(upload(data) for data in (picture(), picture(file_format="WEBP"), png_header(9, 9), b"", bytes(3_000_000))),
        upload(saved(photo((176, 80, "red"), (48, 80, "lime"), scale=4), "JPEG"), framing="auto"),
        upload(picture(), framing="auto"),
        *(upload(make(), framing="auto") for make in hostile_files(900_000).values()),
        *hostile_requests(service, server).values(),
        *(post("/predict", data) for data in (b"NaN", b"{", b'{"url": "\\ud800"}', b"[" * 10_000)),
        post("/predict/batch", f'{{"urls": ["{data_url}", "{server.url("/good")}", "http://[::1]/"]}}'.encode()),
        hang_up(b"GET /hea"),
        hang_up(request % 1000 + b"{"),
        hang_up(request % len(body) + body),
    ]


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_descriptors_threads_and_memory_stay_flat(count: int, model: Path) -> None:
    port = free_port()
    service = f"http://127.0.0.1:{port}"
    with HostileServer(dict(SOURCES)) as server:
        variables = {
            "PORT": str(port),
            "FACEREC_MODEL": str(model),
            "FACEREC_DEADLINE": "0.3",
            "FACEREC_MAX_BYTES": "1000000",
            "FACEREC_MAX_PIXELS": "1000000",
            "FACEREC_MAX_FETCHES": str(CLIENTS),
            "FACEREC_ALLOWED_NETWORKS": "127.0.0.1",
            "FACEREC_ALLOWED_PORTS": str(server.port),
        }
        with process([sys.executable, "predict.py"], variables, discard_output=True) as running:
            wait_until(lambda: ready(service), seconds=30)
            observed = psutil.Process(running.pid)
            kinds = calls(service, server)

            def run(number: int) -> Counter[int | None]:
                with ThreadPoolExecutor(CLIENTS) as pool:
                    return Counter(pool.map(lambda index: kinds[index % len(kinds)](), range(number)))

            with ThreadPoolExecutor(CLIENTS) as pool:  # a thread for each fetch that there may be
                list(pool.map(lambda _: kinds[list(SOURCES).index("/silence")](), range(2 * CLIENTS)))
            run(2 * len(kinds))  # and all other threads and buffers that are kept are there by now
            wait_until(lambda: server.open == 0)
            before = observed.num_fds(), observed.num_threads(), memory(observed)
            statuses = run(count)
            wait_until(lambda: server.open == 0 and observed.num_fds() <= before[0] + 2)
            assert observed.num_threads() <= before[1] + 2
            wait_until(lambda: memory(observed) < before[2] + 48, seconds=60)
            assert running.poll() is None
    assert set(statuses) <= {None, 200, 400, 413, 415, 422, 502, 503, 504}
    assert statuses[200] > count / 30
