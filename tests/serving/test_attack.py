"""The service while it is attacked: it stays responsive, serves others, and gives the memory back.

    uv run pytest -m slow -s tests/serving/test_attack.py

prints the figures that docs/security.md quotes.
"""

import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import matplotlib as mpl
import psutil
import pytest
import requests

from facerec.serving.settings import Settings
from tests.harness import free_port, memory, process, ready, wait_until
from tests.hostile_inputs import hostile_files, hostile_requests, upstream_answers
from tests.hostile_server import HostileServer

PHOTO = (Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()


def upload(service: str, data: bytes) -> tuple[int, float]:
    """Status and seconds of an upload."""
    response = requests.post(f"{service}/predict/upload", files={"file": data}, timeout=60)
    return response.status_code, response.elapsed.total_seconds()


def upload_photo(service: str) -> float:
    """Seconds of the upload of a good photograph, which must succeed."""
    status, seconds = upload(service, PHOTO)
    assert status == 200
    return seconds


def ask_health(service: str) -> float:
    """Seconds until the service answers that it is alive."""
    response = requests.get(f"{service}/healthz", timeout=60)
    assert response.status_code == 200
    return response.elapsed.total_seconds()


@contextmanager
def repeated(measure: Callable[[], float], *, pause: float) -> Iterator[list[float]]:
    """Call `measure` again and again in a thread during the block, and collect what it gives."""
    over, results = threading.Event(), list[float]()

    def run() -> None:
        while not over.wait(pause):
            results.append(measure())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield results
    finally:
        over.set()
        thread.join()


def percentile_99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


@pytest.mark.slow
def test_a_service_under_attack_serves_others_and_stays_small() -> None:
    port = free_port()
    service = f"http://127.0.0.1:{port}"
    with HostileServer(upstream_answers()) as server:
        variables = {
            "PORT": str(port),
            "FACEREC_WORKERS": "2",
            "FACEREC_FRAMING": "auto",
            "FACEREC_LOCATOR": "model/face_detector.onnx",
            "FACEREC_LANDMARKS": "model/face_landmarks.onnx",
            "FACEREC_ALLOWED_NETWORKS": "127.0.0.1",
            "FACEREC_ALLOWED_PORTS": str(server.port),
        }
        with process([sys.executable, "predict.py"], variables, discard_output=True) as running:
            wait_until(lambda: ready(service), seconds=30)
            observed = psutil.Process(running.pid)
            quiet = [upload_photo(service) for _ in range(100)]
            memory_before = memory(observed)
            attacks: dict[str, Callable[[], object]] = {
                **{name: partial(upload, service, make()) for name, make in hostile_files().items()},
                **hostile_requests(service, server),
            }
            assert len(attacks) >= 40
            with (
                repeated(partial(ask_health, service), pause=0.02) as delays,
                repeated(partial(upload_photo, service), pause=0.1) as beside,
            ):
                for name, attack in attacks.items():
                    start = time.perf_counter()
                    attack()
                    print(f"{time.perf_counter() - start:7.2f} s  {name}")
            wait_until(lambda: memory(observed) <= 1.1 * memory_before, seconds=60)
            print(
                f"{len(attacks)} attacks",
                f"health: p99 {percentile_99(delays):.3f} s of {len(delays)}",
                f"photographs: p50 {statistics.median(beside):.3f} s, {statistics.median(quiet):.3f} s before",
                f"photographs: p99 {percentile_99(beside):.3f} s of {len(beside)}, {percentile_99(quiet):.3f} s before",
                f"memory: {memory(observed):.0f} MB, {memory_before:.0f} MB before",
                sep="\n",
            )
            assert running.poll() is None
    assert percentile_99(delays) < 0.1
    assert statistics.median(beside) < 2 * statistics.median(quiet)
    assert percentile_99(beside) < percentile_99(quiet) + Settings().picture_seconds
