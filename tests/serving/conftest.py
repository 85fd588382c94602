"""What the tests of the service share: a running service, a browser."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, sync_playwright

from facerec.serving.settings import Settings
from tests.harness import running
from tests.serving.visit import Visit

CHROMIUM = shutil.which("chromium")


class Service(Protocol):
    """Starts the service on a real socket and gives its address, `http://127.0.0.1:PORT`."""

    def __call__(self, settings: Settings, **seams: Any) -> str: ...


@pytest.fixture(autouse=True)
def settings_around(monkeypatch: pytest.MonkeyPatch, detector: Path, landmarks: Path, tmp_path: Path) -> None:
    """The settings of whoever runs the tests are not the tests': toys, and the centre unless a test says."""
    for name in os.environ:
        if name.startswith("FACEREC_") or name in {"API_KEY", "PORT"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("FACEREC_LOCATOR", str(detector))
    monkeypatch.setenv("FACEREC_LANDMARKS", str(landmarks))
    monkeypatch.setenv("FACEREC_FRAMING", "centre")
    monkeypatch.setenv("FACEREC_GALLERY", str(tmp_path / "gallery" / "people.sqlite"))


@pytest.fixture
def log() -> list[str]:
    """The lines that the services of a test have logged."""
    return []


@pytest.fixture
def serve(log: list[str]) -> Iterator[Service]:
    """Start services that live as long as the test."""
    with ExitStack() as stack:
        yield lambda settings, **seams: stack.enter_context(running(settings, write_log=log.append, **seams))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real browser."""
    if not CHROMIUM:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


class Open(Protocol):
    """Opens the page of a service with these settings."""

    def __call__(
        self, settings: Settings | None = None, *, width: int = 1000, touch: bool = False, dark: bool = False
    ) -> Visit: ...


@pytest.fixture
def open_page(chromium: Browser, serve: Service, model: Path) -> Iterator[Open]:
    """Visits in which no script fails and no other host is asked for anything."""
    visits: dict[str, Visit] = {}

    def start(settings: Settings | None = None, *, width: int = 1000, touch: bool = False, dark: bool = False) -> Visit:
        service = serve(settings or Settings(model=model))
        page = chromium.new_page(
            viewport={"width": width, "height": 800},
            has_touch=touch,
            is_mobile=touch,
            color_scheme="dark" if dark else "light",
        )
        return visits.setdefault(service, Visit(page, service))

    yield start
    for service, visit in visits.items():
        visit.page.close()
        # Chromium itself notes each answer with a status of 400 or more.
        assert [text for text in visit.complaints if not text.startswith("Failed to load resource")] == []
        assert [url for url in visit.traffic if not url.startswith((service, "blob:", "data:"))] == []
