"""Services as processes on a gallery that they share, that dies, or that can't be used at all."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from facerec.inference.recognizer import FaceRecognizer
from facerec.people.model_choice import embedding_of
from facerec.people.store import PeopleStore
from facerec.serving.settings import Settings
from tests.harness import free_port, process, ready, wait_until
from tests.people.faces import EMBEDDING, sample
from tests.people.postgresql_server import PostgresqlServer
from tests.serving.conftest import Service
from tests.serving.people_api import Api, portrait
from tests.shipped import ACCURATE_RECOGNIZER

PYTHON = [sys.executable, "predict.py"]


@contextmanager
def replica(model: Path, location: str) -> Iterator[tuple[Api, "subprocess.Popen[str]"]]:
    """A service as a process of its own."""
    port = free_port()
    variables = {
        "PORT": str(port), "FACEREC_MODEL": str(model), "FACEREC_GALLERY": location, "API_KEY": "right",
        "FACEREC_FRAMING": "auto", "FACEREC_WORKERS": "1", "FACEREC_HOST": "127.0.0.1",
    }  # fmt: skip
    with process(PYTHON, variables, discard_output=True) as running:
        wait_until(lambda: ready(f"http://127.0.0.1:{port}"), seconds=60)
        yield Api(f"http://127.0.0.1:{port}"), running


def test_people_enrolled_through_one_replica_are_known_to_the_other_within_two_seconds(
    model: Path,
    database_url: str,
) -> None:
    with replica(model, database_url) as (one, _), replica(model, database_url) as (other, _):
        person = one.enrolled("Yasmin", portrait("yellow"))
        wait_until(lambda: other.recognized(portrait("yellow"))["person_id"] == person["id"], seconds=2)
        other.ask("PATCH", f"/people/{person['id']}", json={"name": "Zoë"})
        wait_until(lambda: "Zoë" in one.known(), seconds=2)
        one.ask("DELETE", f"/people/{person['id']}")
        wait_until(lambda: "Zoë" not in other.known(), seconds=2)
        assert other.recognized(portrait("yellow"))["identity"] is None


def test_a_service_outlives_a_restart_of_postgresql(
    model: Path,
    database_url: str,
    postgresql: PostgresqlServer,
) -> None:
    with replica(model, database_url) as (api, _):
        api.enrolled("Yasmin", portrait("yellow"))
        postgresql.kill()
        try:
            answer = api.enrol("Cyril", portrait("#0ff"))
            assert (answer.status_code, answer.json()["code"]) == (503, "gallery_unavailable")
            assert api.recognized(portrait("yellow"))["identity"] == "Yasmin"
            assert ready(api.address)
        finally:
            postgresql.start()
        api.enrolled("Cyril", portrait("#0ff"))
        assert {"Yasmin", "Cyril"} <= api.known().keys()


@pytest.mark.parametrize(
    ("kills", "enrolments"), [(2, 30), pytest.param(20, 1000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_a_killed_service_loses_nobody_who_was_acknowledged(
    model: Path, tmp_path: Path, kills: int, enrolments: int
) -> None:
    location = str(tmp_path / "people.sqlite")
    acknowledged: dict[str, str] = {}

    def enrol(api: Api, numbers: Iterator[int]) -> None:
        """Enrol people until the service is gone."""
        with suppress(requests.RequestException):
            for number in numbers:
                answer = api.enrol(
                    f"Person {number}", portrait("yellow", mark=number), portrait("yellow", mark=9999), force=True
                )
                if answer.status_code == 201:
                    acknowledged[answer.json()["id"]] = answer.json()["name"]

    numbers = iter(range(enrolments))
    for attempt in range(kills + 1):
        with replica(model, location) as (api, service):
            client = threading.Thread(target=enrol, args=(api, numbers))
            client.start()
            if attempt < kills:
                share = (attempt + 1) * enrolments // (kills + 1)
                wait_until(lambda share=share: len(acknowledged) >= share - kills - 2, seconds=300)  # type: ignore[misc]
                time.sleep(random.Random(attempt).uniform(0, 0.1))
                os.kill(service.pid, signal.SIGKILL)
            client.join()
            if attempt == kills:
                people = {person["id"]: person for person in api.known().values() if person["id"]}
    assert acknowledged.items() <= {id_: person["name"] for id_, person in people.items()}.items()
    assert {person["samples"] for person in people.values()} == {2}
    assert len(acknowledged) >= enrolments - 2 * kills
    assert len(people) <= len(acknowledged) + kills  # those whose acknowledgement was lost


# The start


def fails_to_start(location: str, **variables: str) -> str:
    """The line that says why the service with a gallery does not start."""
    variables |= {"PORT": str(free_port()), "FACEREC_GALLERY": location}
    with process(PYTHON, variables) as running:
        output, _ = running.communicate(timeout=60)
    assert running.returncode != 0
    assert "Traceback" not in output
    (line,) = (line for line in output.splitlines() if "can't be used" in line)
    return str(json.loads(line)["message"])


def test_a_gallery_of_another_model_ends_the_start_with_a_line(model: Path, tmp_path: Path) -> None:
    location = tmp_path / "people.sqlite"
    store = PeopleStore(location, EMBEDDING)
    store.add_person("Ada", [sample(1)])
    store.close()
    line = fails_to_start(str(location), FACEREC_MODEL=str(model))
    assert f"the gallery {location} can't be used: The gallery's people were enrolled with another model" in line
    with sqlite3.connect(location) as connection:
        connection.execute("UPDATE gallery SET schema_version = 99")
    line = fails_to_start(str(location), FACEREC_MODEL=str(model))
    assert f"the gallery {location} can't be used: The gallery was made by another version" in line


@pytest.mark.parametrize("model_is_set", [True, False])
def test_a_damaged_gallery_ends_the_start_with_a_line(model: Path, tmp_path: Path, model_is_set: bool) -> None:
    location = tmp_path / "people.sqlite"
    location.write_bytes(b"this is not a database" * 100)
    line = fails_to_start(str(location), **({"FACEREC_MODEL": str(model)} if model_is_set else {}))
    assert f"the gallery {location} can't be used: The gallery is damaged" in line


def test_a_server_that_can_not_be_reached_ends_the_start_with_a_line_without_the_password(model: Path) -> None:
    location = f"postgresql+psycopg://facerec:s3cret@127.0.0.1:{free_port()}/people"
    line = fails_to_start(location, FACEREC_MODEL=str(model))
    assert "the gallery of FACEREC_GALLERY can't be used: The gallery can't be opened" in line
    assert "s3cret" not in line


def test_a_service_takes_the_model_that_its_gallery_was_made_with(serve: Service, tmp_path: Path) -> None:
    settings = Settings(gallery=tmp_path / "people.sqlite", workers=1)
    for made_with, backbone in ((None, "mobilenet-v3-large"), (ACCURATE_RECOGNIZER, "dlib-resnet")):
        if made_with:
            recognizer = FaceRecognizer.load(made_with, threads=1)
            store = PeopleStore(settings.gallery, embedding_of(recognizer.metadata, recognizer.checksum))
            store.add_person("Ada", [replace(sample(1), embedding=recognizer.directions[0])])
            store.close()
        assert requests.get(f"{serve(settings)}/model", timeout=9).json()["backbone"] == backbone
