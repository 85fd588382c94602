"""The page against the rules of axe-core, in both colour schemes, on desktop and phone."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from facerec.serving.settings import Settings
from tests.serving.conftest import Open
from tests.serving.test_page_answers import faces
from tests.serving.test_people_page import API_KEY, PeopleVisit

LOOKS = [
    pytest.param(width, dark, id=f"{device} {'dark' if dark else 'light'}")
    for device, width in (("desktop", 1280), ("phone", 390))
    for dark in (False, True)
]


def assert_accessible(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert len(results.response["passes"]) > 10


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_no_view_violates_a_rule(open_page: Open, model: Path, width: int, dark: bool) -> None:
    settings = Settings(model=model, framing="auto", api_key=API_KEY)
    visit = PeopleVisit(open_page(settings, width=width, touch=width == 390, dark=dark))
    page = visit.page
    assert_accessible(page)
    visit.enrol("Ada", "yellow")
    visit.visit.choose(faces("red", "cyan"), {"name": "a.pdf", "mimeType": "", "buffer": b"%PDF"})
    visit.unlock()
    visit.visit.cards("1 of 2 faces recognized", "No answer")
    page.get_by_text("Most similar").filter(visible=True).click()
    page.get_by_text("Figures").filter(visible=True).click()
    assert_accessible(page)
    visit.visit.picture(page.get_by_role("article").first).click(position={"x": 3, "y": 3})
    expect(page.get_by_role("dialog", name="The picture, enlarged")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Name this person").click()
    expect(visit.name).to_be_focused()
    assert_accessible(page)
    page.keyboard.press("Escape")
    visit.show_people()
    visit.open_person("Ada")
    assert_accessible(page)
    page.get_by_role("link", name="How good it is").click()
    expect(page.get_by_role("table")).to_be_visible()
    page.get_by_text("Details").filter(visible=True).click()
    assert_accessible(page)
