"""`test.py` as a process, against servers and consoles that are not as expected."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.harness import ROOT
from tests.hostile_server import Connection, HostileServer, Script

NAME = "Zoë Łukasz 王"
ANSWER = {
    "identity": NAME,
    "similarity": 0.9,
    "threshold": 0.5,
    "top_class": NAME,
    "top_score": 0.8,
    "predictions": {NAME: 0.8, "Ana": 0.2},
    "landmarks": None,
    "faces": [],
}


@pytest.fixture
def server() -> Iterator[HostileServer]:
    """Gives the answer at /predict; at /moved/predict it redirects to another address."""

    def redirect(connection: Connection) -> None:
        connection.respond(status="301 Moved Permanently", headers=["Location: https://elsewhere.test/faces/predict"])

    def redirect_here(connection: Connection) -> None:
        connection.respond(status="302 Found", headers=["Location: /faces/predict"])

    def answer(connection: Connection) -> None:
        connection.respond(json.dumps(ANSWER).encode(), headers=["Content-Type: application/json"])

    scripts: dict[str, Script] = {"/predict": answer, "/moved/predict": redirect, "/here/predict": redirect_here}
    with HostileServer(scripts) as hostile:
        yield hostile


def test_a_service_that_knows_nobody_is_well_formed() -> None:
    nobody = dict.fromkeys(("identity", "similarity", "top_class", "top_score", "landmarks"))
    body = json.dumps({**nobody, "threshold": 0.5, "predictions": {}, "faces": []}).encode()
    with HostileServer({"/predict": lambda connection: connection.respond(body)}) as hostile:
        done = run(hostile.url(""))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"the service knows nobody" in done.stdout


@pytest.mark.parametrize("field", ["similarity", "identity", "threshold"])
def test_an_answer_that_lacks_a_field_is_one_line(field: str) -> None:
    body = json.dumps({name: value for name, value in ANSWER.items() if name != field}).encode()
    with HostileServer({"/predict": lambda connection: connection.respond(body)}) as hostile:
        done = run(hostile.url(""))
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert field.encode() in done.stderr


def test_an_address_without_a_scheme_is_one_line() -> None:
    done = run("localhost")
    assert done.returncode == 1
    assert b"--service localhost can't be asked" in done.stderr


def run(service: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "test.py", "--service", service, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_redirect_is_named_and_not_followed(server: HostileServer) -> None:
    for path, target in (("/moved", "https://elsewhere.test/faces"), ("/here", server.url("/faces"))):
        done = run(server.url(path))
        assert done.returncode == 1
        assert done.stderr.decode() == f"test.py: {server.url(path)} has moved: try --service {target}\n"
    assert len(server.heads) == 2


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_names_are_printed_on_any_console(server: HostileServer, encoding: str) -> None:
    done = run(server.url(""), PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert f"recognized 1 of 1:\n  {NAME} ".encode(encoding, errors="replace") in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_a_reader_that_has_seen_enough_is_no_error(server: HostileServer, arguments: list[str]) -> None:
    command = [sys.executable, "test.py", "--service", server.url(""), *arguments]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_help_is_printed_on_any_console(server: HostileServer) -> None:
    for encoding in ("ascii", "cp1252"):
        done = run(server.url(""), "--help", PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b"")
