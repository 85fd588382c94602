"""What the tests of the service share: a toy model, a running service."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from facerec.serving.settings import Settings
from tests.serving.harness import running
from tests.toy_model import write_toy_model


class Service(Protocol):
    """Starts the service on a real socket and gives its address, `http://127.0.0.1:PORT`."""

    def __call__(self, settings: Settings, **seams: Any) -> str: ...


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests are not the tests'."""
    for name in os.environ:
        if name.startswith("FACEREC_") or name in {"API_KEY", "PORT"}:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy model's file."""
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    write_toy_model(path)
    return path


@pytest.fixture
def log() -> list[str]:
    """The lines that the services of a test have logged."""
    return []


@pytest.fixture
def serve(log: list[str]) -> Iterator[Service]:
    """Start services that live as long as the test."""
    with ExitStack() as stack:
        yield lambda settings, **seams: stack.enter_context(running(settings, write_log=log.append, **seams))
