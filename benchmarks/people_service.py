"""Times of the service with a gallery of enrolled people, over HTTP. `benchmarks.people` runs this."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx

from benchmarks.services import SETTINGS, Service, running

_KEY = "benchmark"
_ANSWERS = 30


@dataclass(frozen=True)
class ServiceTimes:
    """Seconds. Medians but for the start."""

    start: float  # from the command to the first request that is answered
    prediction: float  # a picture of one face
    enrolment: float  # a person with one such picture


def measure_service(gallery: Path, model: Path, pictures: Sequence[Path]) -> ServiceTimes:
    """Start the service on a gallery, and let it recognize and enrol the faces of pictures, each with one person.

    Args:
        gallery: SQLite file; there may be none yet.
        model: the recognizer's file.
        pictures: files of different people, who are not enrolled.
    """
    own = {"FACEREC_GALLERY": str(gallery), "FACEREC_MODEL": str(model), "API_KEY": _KEY, "FACEREC_WORKERS": "1"}
    started = time.perf_counter()
    with running(Service("people", ("predict.py",), SETTINGS | own)) as (_, port):
        headers = {"Authorization": f"Bearer {_KEY}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
            client.get("/readyz").raise_for_status()
            start = time.perf_counter() - started

            def seconds(path: str, field: str, picture: Path, **fields: str) -> float:
                sent = time.perf_counter()
                answer = client.post(path, files={field: picture.read_bytes()}, data=fields)
                assert answer.is_success or answer.json()["code"] in REFUSALS, answer.text
                return time.perf_counter() - sent

            predictions = [seconds("/predict/upload", "file", pictures[n % len(pictures)]) for n in range(_ANSWERS)]
            enrolments = [
                seconds("/people", "pictures", picture, name=f"New {number}", force="true")
                for number, picture in enumerate(pictures[:_ANSWERS])
            ]
    return ServiceTimes(start, median(predictions), median(enrolments))


REFUSALS = {"several_faces", "face_blurred", "face_turned", "face_too_small"}
"""Codes of pictures that are not good enough. They take as long as others but for a change of the gallery."""
