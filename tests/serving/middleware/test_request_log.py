import asyncio
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from facerec.inference.worker_pool import WorkerPool
from facerec.serving.errors import NotFound
from facerec.serving.middleware import request_log
from facerec.serving.middleware.problem_details import ProblemDetailsMiddleware
from facerec.serving.middleware.request_log import RequestLogMiddleware
from facerec.serving.settings import Settings
from facerec.serving.telemetry import PrometheusMetrics
from tests.harness import LOOPBACK, connect, data_url, picture, post_json, saved, wait_until
from tests.hostile_server import Connection, HostileServer
from tests.serving.conftest import Service


def test_each_request_has_one_line_of_json(serve: Service, model: Path, log: list[str]) -> None:
    service = serve(Settings(model=model))
    upload = picture(size=(64, 48))
    response = requests.post(f"{service}/predict/upload", files={"file": upload}, timeout=9)
    wait_until(lambda: len(log) == 1)
    line = json.loads(log[0])
    assert line["id"] == response.headers["X-Request-ID"]
    assert (line["method"], line["route"], line["status"], line["outcome"]) == ("POST", "/predict/upload", 200, "ok")
    (seen,) = line["pictures"]
    assert (seen["bytes"], seen["width"], seen["height"]) == (len(upload), 64, 48)
    assert seen["milliseconds"].keys() == {"decode", "infer"}
    stages = dict(stage.split(";dur=") for stage in response.headers["Server-Timing"].split(", "))
    assert {name: float(duration) for name, duration in stages.items()} == seen["milliseconds"]


def test_a_failed_request_does_not_tell_its_stages(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model))
    response = requests.post(f"{service}/predict", json={"url": "http://pictures.test:22/"}, timeout=9)
    assert response.status_code == 400
    assert "Server-Timing" not in response.headers


def test_only_the_host_of_a_url_is_logged(serve: Service, model: Path, log: list[str]) -> None:
    service = serve(Settings(model=model))
    for url in ("http://pictures.test:22/secret?secret=secret", "http://user:secret@pictures.test/secret"):
        response = requests.post(
            f"{service}/predict?secret", json={"url": url}, headers={"Cookie": "secret"}, timeout=9
        )
        assert "secret" not in response.text
    wait_until(lambda: len(log) == 2)
    assert "secret" not in "".join(log)
    assert {json.loads(line)["pictures"][0]["host"] for line in log} == {"pictures.test"}


@pytest.mark.parametrize(("given", "kept"), [("abc-123", True), ("a b", False), ("x" * 65, False), ('"}', False)])
def test_a_plain_request_id_is_kept(serve: Service, model: Path, given: str, kept: bool) -> None:
    service = serve(Settings(model=model))
    response = requests.get(f"{service}/nowhere", headers={"X-Request-ID": given}, timeout=9)
    assert (response.headers["X-Request-ID"] == given) is kept
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize(("path", "fields"), [("/predict/upload", ["file"]), ("/verify", ["first", "second"])])
def test_an_unexpected_exception_is_a_plain_500_and_a_line(
    path: str,
    fields: list[str],
    serve: Service,
    model: Path,
    log: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    service = serve(Settings(model=model, workers=1, max_waiting=0))

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(WorkerPool, "recognize", fail)
    for _ in range(3):  # and its place comes back
        response = requests.post(f"{service}{path}", files=dict.fromkeys(fields, picture()), timeout=9)
        assert (response.status_code, response.json()["code"]) == (500, "internal_error")
        assert response.headers["Content-Type"] == "application/problem+json"
        assert "secret" not in response.text
    wait_until(lambda: len(log) == 3)
    assert "RuntimeError at test_request_log.py:" in json.loads(log[0])["raised"]
    assert "secret" not in "".join([*log, *capfd.readouterr()])


def test_an_unexpected_exception_fails_one_picture_of_a_batch(
    serve: Service, model: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recognize = WorkerPool.recognize

    async def fail_once(*_: object, **__: object) -> None:
        monkeypatch.setattr(WorkerPool, "recognize", recognize)
        raise RuntimeError("secret")

    service = serve(Settings(model=model, framing="centre", workers=1))
    monkeypatch.setattr(WorkerPool, "recognize", fail_once)
    urls = [data_url(picture("red"))] * 2
    results = requests.post(f"{service}/predict/batch", json={"urls": urls}, timeout=9).json()["results"]
    assert sorted(result.get("code", "none") for result in results) == ["internal_error", "none"]
    wait_until(lambda: len(log) == 1)
    line = json.loads(log[0])
    assert "RuntimeError at test_request_log.py:" in line["raised"]
    assert sorted(each["outcome"] for each in line["pictures"]) == ["internal_error", "ok"]


def test_a_client_that_does_not_receive_is_given_up(
    serve: Service, model: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "_SEND_SECONDS", 0.3)
    service = serve(Settings(model=model))
    with connect(service) as connection:
        connection.sendall(b"GET /swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 9)
        wait_until(lambda: any('"client_gone"' in line for line in log))
        assert requests.get(f"{service}/healthz", timeout=9).status_code == 200


def test_a_refusal_that_nobody_receives_is_given_up_too(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "_SEND_SECONDS", 0.1)

    async def refuse(*_: object) -> None:
        raise NotFound

    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    scope = {"type": "http", "method": "GET", "path": "/nowhere", "headers": []}
    app = ProblemDetailsMiddleware(refuse)
    asyncio.run(RequestLogMiddleware(app, metrics=PrometheusMetrics(), write=log.append)(scope, never, never))  # type: ignore[arg-type]
    assert json.loads(log[0])["outcome"] == "client_gone"


def metrics(service: str) -> dict[tuple[str, frozenset[str]], float]:
    text = requests.get(f"{service}/metrics", timeout=9).text
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_tell_outcomes_and_stages(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model))
    requests.post(f"{service}/predict/upload", files={"file": picture()}, timeout=9)
    requests.post(f"{service}/predict", json={"url": "http://127.0.0.1/"}, timeout=9)
    seen = metrics(service)
    assert seen["facerec_requests_total", frozenset({"/predict/upload", "ok"})] == 1
    assert seen["facerec_requests_total", frozenset({"/predict", "url_not_allowed"})] == 1
    for stage in ("fetch", "decode", "infer"):
        assert seen["facerec_stage_seconds_count", frozenset({stage})] == 1
    assert seen["facerec_in_flight", frozenset({"compute"})] == 0
    assert seen["facerec_rejected_total", frozenset()] == 0


def test_metrics_tell_what_is_in_flight_and_what_was_refused(serve: Service, model: Path) -> None:
    with HostileServer({"/": Connection.stall}) as server:
        ports = frozenset({server.port})
        settings = Settings(model=model, deadline=60, max_fetches=1, allowed_networks=LOOPBACK, allowed_ports=ports)
        service = serve(settings)
        with connect(service) as connection:
            connection.sendall(post_json("/predict", {"url": server.url("/")}))
            wait_until(lambda: server.open == 1)
            assert requests.post(f"{service}/predict", json={"url": server.url("/")}, timeout=9).status_code == 503
            seen = metrics(service)
            assert seen["facerec_in_flight", frozenset({"fetch"})] == 1
            assert seen["facerec_rejected_total", frozenset()] == 1
        wait_until(lambda: metrics(service)["facerec_in_flight", frozenset({"fetch"})] == 0)


def test_no_label_is_made_from_input(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model))
    metrics(service)
    before = metrics(service).keys()
    for number in range(20):
        requests.get(f"{service}/{number}", timeout=9)
        requests.request(f"METHOD{number}", f"{service}/predict", timeout=9)
        requests.post(f"{service}/predict", json={"url": f"http://{number}.test:22/"}, timeout=9)
    added = {labels for _, labels in metrics(service).keys() - before}
    assert added <= {
        frozenset({"other", "not_found"}),
        frozenset({"/predict", "method_not_allowed"}),
        frozenset({"/predict", "url_not_allowed"}),
        *(frozenset({"fetch", le}) for _, labels in metrics(service) for le in labels),
        frozenset({"fetch"}),
    }


def test_limits_and_metrics_are_those_of_all_workers(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model, workers=2, max_waiting=0, picture_seconds=0.15))
    large = picture(size=(2000, 2000))
    costly = saved(Image.new("RGBA", (5000, 5000)), "WEBP", lossless=True)  # takes 0.2 s or more

    def upload(data: bytes) -> int:
        return requests.post(f"{service}/predict/upload", files={"file": data}, timeout=30).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = Counter(pool.map(upload, [large] * 6))
    assert set(statuses) == {200, 503}
    assert statuses[200] >= 2  # one for each worker, whichever was asked
    assert upload(costly) == 422
    seen = metrics(service)
    assert seen["facerec_requests_total", frozenset({"/predict/upload", "ok"})] == statuses[200]
    assert seen["facerec_requests_total", frozenset({"/predict/upload", "picture_too_costly"})] == 1
    assert seen["facerec_rejected_total", frozenset()] == statuses[503]
    assert seen["facerec_workers_replaced", frozenset()] == 1
