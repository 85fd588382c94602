from pathlib import Path

import pytest
import requests

from facerec.serving.settings import Settings
from tests.harness import picture
from tests.serving.conftest import Service

FRIEND = "https://friend.test"


@pytest.fixture
def service(serve: Service, model: Path) -> str:
    return serve(Settings.model_validate({"model": model, "api_key": "right", "cors_origins": (FRIEND,)}))


def test_by_default_no_other_site_may_call(serve: Service, model: Path) -> None:
    service = serve(Settings(model=model))
    answer = requests.get(f"{service}/healthz", headers={"Origin": FRIEND}, timeout=9)
    assert "Access-Control-Allow-Origin" not in answer.headers
    preflight = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
    assert requests.options(f"{service}/predict", headers=preflight, timeout=9).status_code == 405


def test_a_named_site_may_call_with_the_key(service: str) -> None:
    preflight = {
        "Origin": FRIEND,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = requests.options(f"{service}/predict", headers=preflight, timeout=9)
    assert answer.status_code == 200
    assert answer.headers["X-Request-ID"]
    headers = {"Origin": FRIEND, "Authorization": "Bearer right"}
    answer = requests.post(f"{service}/predict/upload", files={"file": picture()}, headers=headers, timeout=9)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After, Server-Timing, X-Request-ID"


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/predict", {}, b"{}", 401),
        ("/predict", {"Authorization": "Bearer right"}, b"{}", 422),
        ("/predict", {"Authorization": "Bearer right"}, bytes(20_000_000), 413),
        ("/nowhere", {"Authorization": "Bearer right"}, b"", 404),
    ],
)
def test_its_errors_can_be_read_too(service: str, path: str, headers: dict[str, str], body: bytes, status: int) -> None:
    answer = requests.post(service + path, data=body, headers={"Origin": FRIEND, **headers}, timeout=9)
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND


@pytest.mark.parametrize(
    "origin", ["https://enemy.test", "http://friend.test", "https://friend.test.enemy.test", "null"]
)
def test_no_other_site_may_call(service: str, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = requests.options(f"{service}/predict", headers=headers, timeout=9)
    assert answer.status_code == 400
    assert "Access-Control-Allow-Origin" not in answer.headers
    answer = requests.get(f"{service}/healthz", headers=headers, timeout=9)
    assert "Access-Control-Allow-Origin" not in answer.headers
