"""Swagger UI in Chromium, with no other host to load from."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from facerec.serving.settings import Settings
from tests.harness import data_url, picture
from tests.serving.conftest import Service
from tests.serving.stripping_proxy import PREFIX, stripping_proxy


@pytest.fixture(params=["", PREFIX], ids=["direct", "behind a proxy"])
def address(request: pytest.FixtureRequest, serve: Service, model: Path) -> Iterator[str]:
    """The service's address, its own or that of a proxy that strips a prefix."""
    service = serve(Settings(model=model, root_path=request.param))
    with ExitStack() as stack:
        yield stack.enter_context(stripping_proxy(service)) if request.param else service


@pytest.fixture
def tab(chromium: Browser, address: str) -> Iterator[Page]:
    """A tab that must ask for nothing but what is under the address."""
    page = chromium.new_page()
    traffic: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: traffic.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert complaints == []
    assert [url for url in traffic if not url.startswith((f"{address}/", "data:", "blob:"))] == []


def test_the_documentation_shows_and_tries_the_api(tab: Page, address: str) -> None:
    tab.goto(f"{address}/docs")
    tab.locator("#operations-operation-healthz_healthz_get").click()
    tab.get_by_role("button", name="Try it out").click()
    tab.get_by_role("button", name="Execute").click()
    expect(tab.locator(".live-responses-table .response .microlight").first).to_contain_text('"status": "ok"')
    assert tab.evaluate("getComputedStyle(document.querySelector('.swagger-ui .opblock')).borderRadius") != "0px"


def test_the_page_works(tab: Page, address: str) -> None:
    tab.goto(f"{address}/")
    tab.get_by_label("Or the address of a picture").fill(data_url(picture("red")))
    tab.get_by_role("button", name="Recognize").click()
    expect(tab.get_by_role("heading", name="Rosa Red")).to_be_visible()
    tab.get_by_role("link", name="API").click()
    expect(tab.get_by_role("heading", name="Face recognition")).to_be_visible()


def test_the_document_names_the_prefix(address: str) -> None:
    document = requests.get(f"{address}/openapi.json", timeout=9).json()
    prefix = PREFIX if address.endswith(PREFIX) else None
    assert [server["url"] for server in document.get("servers", [])] == ([prefix] if prefix else [])


def test_the_browser_is_told_to_load_nothing_from_elsewhere(address: str) -> None:
    policy = requests.get(f"{address}/docs", timeout=9).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; script-src 'self' 'sha256-")
    assert "http" not in policy
