import contextlib
import json
import random
import socket
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from facerec.inference.detector import FaceDetector
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.recognizer import FaceRecognizer
from facerec.serving import people_service
from facerec.serving.schemas import MAX_BATCH_URLS
from facerec.serving.settings import Settings
from tests.harness import LOOPBACK, data_url, picture, running
from tests.hostile_server import Connection, HostileServer
from tests.pictures.test_urls import REFUSED
from tests.serving.conftest import Service
from tests.toy_model import TOY_NAMES, TOY_SCORE, TOY_THRESHOLD, toy_graph, toy_metadata, write_model

ROSA, GUSTAV, _ = TOY_NAMES


@pytest.fixture
def service(serve: Service, model: Path) -> str:
    return serve(Settings(model=model))


def post(url: str, body: Any) -> requests.Response:
    return requests.post(url, json=body, timeout=9)


def assert_well_formed(answer: dict[str, Any], *, top: str) -> None:
    assert answer["identity"] == answer["top_class"] == top
    assert answer["threshold"] == TOY_THRESHOLD
    assert answer["similarity"] == pytest.approx(1, abs=0.01)
    probabilities = list(answer["predictions"].values())
    assert sum(probabilities) == pytest.approx(1, abs=1e-4)
    assert probabilities == sorted(probabilities, reverse=True)
    assert answer["top_score"] == probabilities[0] == answer["predictions"][top]


def test_a_person_is_named_from_a_url_a_data_url_and_an_upload(serve: Service, model: Path) -> None:
    upload = picture("lime", file_format="JPEG")
    with HostileServer({"/a.jpg": lambda connection: connection.respond(upload)}) as server:
        settings = Settings(model=model, allowed_networks=LOOPBACK, allowed_ports=frozenset({server.port}))
        service = serve(settings)
        headers = {"Cookie": "secret", "Authorization": "secret", "X-Forwarded-For": "secret", "User-Agent": "secret"}
        for answer in (
            requests.post(f"{service}/predict", json={"url": server.url("/a.jpg")}, headers=headers, timeout=9),
            post(f"{service}/predict", {"url": data_url(upload)}),
            requests.post(f"{service}/predict/upload", files={"file": upload}, timeout=9),
        ):
            assert answer.status_code == 200
            assert_well_formed(answer.json(), top=GUSTAV)
        assert "secret" not in "".join(server.heads)  # what the caller sends goes no further


def test_a_large_upload_is_no_different(service: str) -> None:
    upload = picture("lime", size=(2000, 1500), file_format="BMP")
    assert len(upload) > 2**20
    answer = requests.post(f"{service}/predict/upload", files={"file": upload}, timeout=9)
    assert_well_formed(answer.json(), top=GUSTAV)


def test_an_unknown_person_has_no_identity(service: str) -> None:
    answer = post(f"{service}/predict", {"url": data_url(picture("grey"))}).json()
    assert answer["identity"] is None
    assert answer["top_class"] in TOY_NAMES
    assert answer["similarity"] < TOY_THRESHOLD


def test_the_operator_can_set_another_threshold(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model, threshold=0.5))
    answer = post(f"{service}/predict", {"url": data_url(picture("grey"))}).json()
    assert answer["identity"] == answer["top_class"]
    card = requests.get(f"{service}/model", timeout=9).json()
    assert (card["threshold"], card["calibrated_threshold"]) == (0.5, TOY_THRESHOLD)


def test_top_k_lists_no_more_than_the_most(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_service, "MAX_CANDIDATES", 2)
    answer = post(f"{service}/predict", {"url": data_url(picture()), "top_k": 3})
    assert len(answer.json()["predictions"]) == 2


def test_top_k_shortens_the_list(service: str) -> None:
    url, upload = data_url(picture("red")), picture("red")
    for top_k, length in ((1, 1), (2, 2), (99, 3), (10**30, 3)):
        assert len(post(f"{service}/predict", {"url": url, "top_k": top_k}).json()["predictions"]) == length
        answer = requests.post(f"{service}/predict/upload", files={"file": upload}, data={"top_k": top_k}, timeout=9)
        assert len(answer.json()["predictions"]) == length
    assert post(f"{service}/predict", {"url": url, "top_k": 0}).status_code == 422


def test_in_a_batch_each_url_is_answered_on_its_own(service: str) -> None:
    urls = [data_url(picture("red")), "http://127.0.0.1/", data_url(b"no picture"), data_url(picture("lime"))]
    answer = post(f"{service}/predict/batch", {"urls": urls, "top_k": 1})
    assert answer.status_code == 200
    first, refused, broken, last = answer.json()["results"]
    assert (first["identity"], last["identity"]) == (ROSA, GUSTAV)
    assert (refused["status"], refused["code"]) == (400, "url_not_allowed")
    assert (broken["status"], broken["code"]) == (415, "unsupported_picture")
    assert refused["request_id"] == answer.headers["X-Request-ID"]


def test_a_batch_has_its_limit(service: str) -> None:
    urls = [data_url(picture("red"))] * (MAX_BATCH_URLS + 1)
    assert len(post(f"{service}/predict/batch", {"urls": urls[1:]}).json()["results"]) == MAX_BATCH_URLS
    assert post(f"{service}/predict/batch", {"urls": urls}).status_code == 422
    assert post(f"{service}/predict/batch", {"urls": []}).status_code == 422


def test_a_full_batch_finds_slots_in_a_small_service(serve: Service, model: Path) -> None:
    png = picture("red")

    def slowly(connection: Connection) -> None:
        time.sleep(0.05)
        connection.respond(png)

    with HostileServer({"/": slowly}) as server:
        settings = Settings(
            model=model,
            framing="centre",
            max_fetches=4,
            allowed_networks=LOOPBACK,
            allowed_ports=frozenset({server.port}),
        )
        results = post(f"{serve(settings)}/predict/batch", {"urls": [server.url("/")] * MAX_BATCH_URLS}).json()[
            "results"
        ]
    assert [result.get("identity", result.get("code")) for result in results] == [ROSA] * MAX_BATCH_URLS


def test_a_full_batch_of_data_urls_finds_slots_in_a_small_service(serve: Service, model: Path) -> None:
    settings = Settings(model=model, framing="centre", workers=1, max_waiting=1)
    urls = [data_url(picture("red"))] * MAX_BATCH_URLS
    results = post(f"{serve(settings)}/predict/batch", {"urls": urls}).json()["results"]
    assert [result.get("identity", result.get("code")) for result in results] == [ROSA] * MAX_BATCH_URLS


def test_pictures_over_the_limits_of_the_service_are_refused(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model, max_bytes=20_000, max_pixels=250 * 250))
    for content, expected in (
        (random.Random(0).randbytes(20_001), (413, "picture_too_large")),
        (picture("red", size=(251, 250)), (422, "too_many_pixels")),
        (picture("red", size=(250, 250)), (200, None)),
    ):
        answer = requests.post(f"{service}/predict/upload", files={"file": content}, timeout=9)
        assert (answer.status_code, answer.json().get("code")) == expected


def test_people_and_model_say_what_is_loaded(
    service: str, model: Path, finder: FaceDetector, predictor: LandmarkPredictor
) -> None:
    people = requests.get(f"{service}/people", timeout=9).json()["people"]
    assert [person["name"] for person in people] == list(TOY_NAMES)
    assert people[0].items() >= {"training_images": 20, "test_recall": 0.8}.items()
    card = requests.get(f"{service}/model", timeout=9).json()
    checksum = FaceRecognizer.load(model, threads=1).checksum
    assert (card["sha256"], card["people"], card["figures"]) == (checksum, 3, {"top_1": 0.9})
    assert (card["backbone"], card["aligned"]) == ("mobilenet-v3-large", False)
    assert requests.get(f"{service}/readyz", timeout=9).json() == {
        "status": "ready",
        "sha256": checksum,
        "locator_sha256": finder.checksum,
        "landmarks_sha256": predictor.checksum,
    }
    assert card["locator"] == {
        "version": "0.0.0",
        "created": "2026-01-01T00:00:00Z",
        "sha256": finder.checksum,
        "threshold": TOY_SCORE,
        "figures": {"recall": 0.9},
        "licence": "public domain",
    }
    assert card["landmarks"] == {
        "version": "0.0.0",
        "created": "2026-01-01T00:00:00Z",
        "sha256": predictor.checksum,
        "figures": {"mean_error": 0.02},
        "licence": "public domain",
    }
    assert requests.get(f"{service}/healthz", timeout=9).json() == {"status": "ok"}


def test_a_model_of_aligned_faces_says_so(serve: Service, aligned_model: Path) -> None:
    service = serve(Settings(model=aligned_model))
    card = requests.get(f"{service}/model", timeout=9).json()
    assert (card["backbone"], card["aligned"]) == ("dlib-resnet", True)
    assert_well_formed(post(f"{service}/predict", {"url": data_url(picture("lime"))}).json(), top=GUSTAV)
    assert "recognized by the network dlib-resnet." in requests.get(service, timeout=9).text


# Errors


HOSTILE_BODIES = [
    b"",
    b"nonsense",
    b"{",
    b"null",
    b"[]",
    b"NaN",
    b'{"url": NaN}',
    b'{"url": 1e999}',
    b'{"url": "data:,a", "top_k": NaN}',
    b'{"url": "data:,a", "top_k": ' + b"9" * 5000 + b"}",
    b'{"url": "\\ud800 SECRET"}',
    b'{"url": "data:,\\ud800"}',
    b'{"\\ud800 SECRET": 1, "url": "data:,"}',
    b'{"url": "SECRET \xff"}',
    b'{"SECRET": 1, "url": "data:,"}',
    b"\xff\xfe{\x00",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"url": ["SECRET"], "top_k": {"SECRET": 1}}',
    b'{"urls": "SECRET"}',
]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/predict/upload"])
def test_odd_json_is_refused_and_not_echoed(service: str, path: str) -> None:
    for body in HOSTILE_BODIES:
        for content_type in ("application/json", "multipart/form-data; boundary=b", "text/plain", "nonsense"):
            answer = requests.post(service + path, data=body, headers={"Content-Type": content_type}, timeout=9)
            assert 400 <= answer.status_code < 500, (body[:50], content_type)
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert "SECRET" not in answer.text


def test_urls_that_must_not_be_fetched_are_400(service: str) -> None:
    for url in [url for kind, urls in REFUSED.items() if kind != "surrogates" for url in urls]:
        answer = post(f"{service}/predict", {"url": url})
        assert (answer.status_code, answer.json()["code"]) == (400, "url_not_allowed"), url


def test_health_answers_throughout_an_overload(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model, workers=1, max_waiting=2))
    large = picture(size=(5000, 5000))
    over, statuses = threading.Event(), set()

    def load() -> None:
        while not over.is_set():
            statuses.add(requests.post(f"{service}/predict/upload", files={"file": large}, timeout=30).status_code)

    callers = [threading.Thread(target=load) for _ in range(8)]
    for caller in callers:
        caller.start()
    delays = []
    with requests.Session() as session:
        for _ in range(30):
            time.sleep(0.03)
            answer = session.get(f"{service}/healthz", timeout=9)
            assert answer.status_code == 200
            delays.append(answer.elapsed.total_seconds())
    over.set()
    for caller in callers:
        caller.join()
    assert statuses == {200, 503}
    assert statistics.median(delays) < 0.1


def test_a_validation_error_names_the_field(service: str) -> None:
    answer = post(f"{service}/predict", {"top_k": "many"}).json()
    assert answer["code"] == "invalid_request"
    assert "body.url: Field required" in answer["detail"]
    assert "body.top_k: " in answer["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/nowhere", 404, "not_found"),
        ("GET", "/predict", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
    ],
)
def test_other_paths_and_methods_are_problems_too(service: str, method: str, path: str, status: int, code: str) -> None:
    answer = requests.request(method, service + path, timeout=9)
    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (status, status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert ("Allow" in answer.headers) is (status == 405)


def test_a_model_that_answers_nan_is_a_typed_error(serve: Service, tmp_path: Path) -> None:
    path = tmp_path / "toy.onnx"
    write_model(path, toy_graph(nan_for_white=True), toy_metadata())
    service = serve(Settings(model=path))
    assert post(f"{service}/predict", {"url": data_url(picture("red"))}).status_code == 200
    answer = post(f"{service}/predict", {"url": data_url(picture("white"))})
    assert (answer.status_code, answer.json()["code"]) == (500, "invalid_output")


# The key


def test_with_a_key_only_its_holders_pass(serve: Service, model: Path) -> None:
    service = serve(Settings.model_validate({"model": model, "api_key": "right"}))
    for path in ("/people", "/model", "/metrics"):
        for authorization in (None, "Bearer wrong", "Bearer righ", "Bearer \xe9", "right", "Basic right", "Bearer"):
            headers = {"Authorization": authorization} if authorization else {}
            answer = requests.get(service + path, headers=headers, timeout=9)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), authorization
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert requests.get(service + path, headers={"Authorization": "Bearer right"}, timeout=9).status_code == 200
    assert post(f"{service}/predict", {"url": data_url(picture())}).status_code == 401
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert requests.get(service + path, timeout=9).status_code == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_monitors_may_ask_with_head(service: str, path: str) -> None:
    answer = requests.head(service + path, timeout=9)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/predict/", "/healthz/", "/redoc"])
def test_other_spellings_are_not_found_rather_than_redirected(service: str, path: str) -> None:
    answer = requests.post(service + path, headers={"Host": "elsewhere.test"}, allow_redirects=False, timeout=9)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_json_that_is_not_announced_is_told_apart_from_a_wrong_body(service: str) -> None:
    answer = requests.post(f"{service}/predict", data='{"url": "https://example.org/"}', timeout=9)
    assert answer.status_code == 422
    assert (
        answer.json()["detail"] == "the body is not a JSON object, or was sent without Content-Type: application/json"
    )


def test_clients_without_the_key_reserve_no_memory_for_bodies(serve: Service, model: Path) -> None:
    service = serve(Settings.model_validate({"model": model, "api_key": "right", "max_fetches": 1, "max_waiting": 1}))
    host, port = service.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=9))
            connection.sendall(b"POST /predict/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
            assert b"401" in connection.recv(99)
        headers = {"Authorization": "Bearer right"}
        answer = requests.post(f"{service}/predict", json={"url": data_url(picture())}, headers=headers, timeout=9)
        assert answer.status_code == 200


# The document


def test_the_documented_examples_work(service: str) -> None:
    document = requests.get(f"{service}/openapi.json", timeout=9).json()
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    described = schemas["DetectedFace"]["properties"]["landmarks"]["description"]
    order = ("outer and inner corner of the person's left eye", "outer and inner corner of the right eye", "nose")
    assert [described.find(name) for name in order] == sorted(described.index(name) for name in order)
    (url,) = schemas["PredictRequest"]["properties"]["url"]["examples"]
    assert len(url) < 300
    assert post(f"{service}/predict", {"url": url}).status_code == 200
    (urls,) = schemas["BatchRequest"]["properties"]["urls"]["examples"]
    assert all("identity" in result for result in post(f"{service}/predict/batch", {"urls": urls}).json()["results"])


def test_every_error_of_an_endpoint_is_documented(service: str) -> None:
    paths = requests.get(f"{service}/openapi.json", timeout=9).json()["paths"]
    statuses = {
        f"{method} {path}": set(operation["responses"])
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method != "get"
    }
    body = {"408", "413", "422", "500", "503"}
    fetched = body | {"400", "415", "502", "504"}
    change = {"403", "404", "422", "500", "503", "507"}
    assert statuses == {
        "post /predict": {"200", *fetched},
        "post /predict/upload": {"200", "415", *body},
        "post /predict/batch": {"200", *body},
        "post /verify": {"200", "404", *fetched},
        "post /embeddings": {"200", *fetched},
        "post /people": {"201", "403", "409", "507", *fetched},
        "post /people/{person_id}/samples": {"201", "403", "404", "409", "507", *fetched},
        "patch /people/{person_id}": {"200", "409", *change, *body},
        "delete /people/{person_id}": {"204", *change},
        "patch /people/{person_id}/samples/{sample_id}": {"204", "409", *change, *body},
        "delete /people/{person_id}/samples/{sample_id}": {"204", *change},
    }
    example = paths["/predict"]["post"]["responses"]["504"]["content"]["application/problem+json"]["examples"]
    assert example["fetch_timeout"]["value"]["status"] == 504


def test_two_services_count_apart(model: Path) -> None:
    settings = Settings(model=model)
    with running(settings, write_log=print) as one, running(settings, write_log=print) as other:
        requests.get(f"{one}/people", timeout=9)
        assert '"/people"' not in requests.get(f"{other}/metrics", timeout=9).text
        assert '"/people"' in requests.get(f"{one}/metrics", timeout=9).text
        assert json.loads(requests.get(f"{one}/openapi.json", timeout=9).text)["info"]["title"]
