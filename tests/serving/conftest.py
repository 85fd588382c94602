"""What the tests of the service share: toy models, a running service."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from facerec.serving.locator import Locator
from facerec.serving.settings import Settings
from tests.serving.harness import running
from tests.toy_model import write_toy_locator, write_toy_model


class Service(Protocol):
    """Starts the service on a real socket and gives its address, `http://127.0.0.1:PORT`."""

    def __call__(self, settings: Settings, **seams: Any) -> str: ...


@pytest.fixture(autouse=True)
def settings_around(monkeypatch: pytest.MonkeyPatch, locator: Path) -> None:
    """The settings of whoever runs the tests are not the tests': a toy locator, and the centre unless a test says."""
    for name in os.environ:
        if name.startswith("FACEREC_") or name in {"API_KEY", "PORT"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("FACEREC_LOCATOR", str(locator))
    monkeypatch.setenv("FACEREC_FRAMING", "centre")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy model's file."""
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    write_toy_model(path)
    return path


@pytest.fixture(scope="session")
def locator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy locator's file."""
    path = tmp_path_factory.mktemp("locator") / "toy_locator.onnx"
    write_toy_locator(path)
    return path


@pytest.fixture(scope="session")
def finder(locator: Path) -> Locator:
    """The toy locator, loaded."""
    return Locator.load(locator, threads=1)


@pytest.fixture
def log() -> list[str]:
    """The lines that the services of a test have logged."""
    return []


@pytest.fixture
def serve(log: list[str]) -> Iterator[Service]:
    """Start services that live as long as the test."""
    with ExitStack() as stack:
        yield lambda settings, **seams: stack.enter_context(running(settings, write_log=log.append, **seams))
