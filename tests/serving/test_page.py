"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import FilePayload, Response, expect
from pydantic import SecretStr

from facerec.pictures.errors import PictureError
from facerec.serving.errors import ServiceError
from facerec.serving.settings import Settings
from tests.harness import LOOPBACK, data_url, photo, picture, saved
from tests.hostile_server import HostileServer
from tests.serving.conftest import Open, Service
from tests.serving.visit import Visit

UNKNOWN = "Not someone I know"


class SecondResponse:
    """True for the second response from a path."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0

    def __call__(self, response: Response) -> bool:
        self._count += self._path in response.url
        return self._count == 2


@pytest.fixture
def visit(open_page: Open) -> Visit:
    return open_page()


def file(colour: str, name: str = "picture.png") -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": picture(colour)}


# Pictures


def test_a_picture_at_an_address_is_named_but_not_shown(open_page: Open, model: Path) -> None:
    with HostileServer({"/rosa.png": lambda connection: connection.respond(picture("red"))}) as server:
        visit = open_page(Settings(model=model, allowed_networks=LOOPBACK, allowed_ports=frozenset({server.port})))
        visit.ask(server.url("/rosa.png"))
        card = visit.cards("Rosa Red")
        expect(card).to_contain_text("Similarity 1.00; a match needs 0.80.")
        expect(card).to_contain_text(re.compile(r"/rosa\.png · answered in \d+ ms"))
        expect(card.get_by_role("img")).to_have_count(0)
        assert len(server.heads) == 1  # the service's; the fixture checks that the browser sent none


def test_a_chosen_file_shows_with_its_name_and_bars(visit: Visit) -> None:
    visit.choose(file("lime", "gustav.png"))
    card = visit.cards("Gustav Green")
    expect(card.get_by_role("img")).to_be_visible()
    expect(card.get_by_role("figure")).to_have_text("Gustav Green")
    bars = card.get_by_role("listitem")
    expect(bars).to_have_count(3)
    expect(bars.first).to_have_text("Gustav Green100.0%")
    share = float(bars.first.evaluate("bar => bar.style.getPropertyValue('--share')"))
    assert share == pytest.approx(1, abs=0.001)


def test_a_data_url_needs_no_other_host_and_is_shown(visit: Visit) -> None:
    visit.ask(data_url(picture("blue")))
    expect(visit.cards("Bella Blue").get_by_role("img")).to_be_visible()


def test_an_unknown_person_is_not_named(visit: Visit) -> None:
    visit.choose(file("grey"))
    card = visit.cards(UNKNOWN)
    expect(card).to_have_class("unknown")
    expect(card.get_by_role("figure")).to_have_text(UNKNOWN)
    expect(card).to_contain_text("Similarity 0.58; a match needs 0.80. The nearest of those I know:")
    expect(card.get_by_role("listitem")).to_have_count(3)


def test_two_pictures_are_asked_about_one_after_the_other(visit: Visit) -> None:
    visit.choose(file("red"), file("grey"))
    visit.cards("Rosa Red", UNKNOWN)
    calls = [entry.partition("/predict")[2] for entry in visit.traffic if "/predict" in entry]
    assert calls == ["/upload", "/upload answered"] * 2
    visit.choose(file("blue"))
    visit.cards("Bella Blue", "Rosa Red", UNKNOWN)


def test_a_picture_can_be_dropped_anywhere(visit: Visit) -> None:
    transfer = visit.page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
            return transfer;
        }""",
        list(picture("red")),
    )
    for event in ("dragover", "drop"):
        visit.page.dispatch_event("footer", event, {"dataTransfer": transfer})
    expect(visit.cards("Rosa Red")).to_contain_text("dropped.png")


def test_what_is_dropped_without_a_file_is_left_to_the_browser(visit: Visit) -> None:
    taken = visit.page.evaluate(
        """() => ["dragover", "drop"].map((name) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.setData("text/uri-list", "https://example.org/picture.jpg");
            const event = new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true });
            document.querySelector("#url").dispatchEvent(event);
            return event.defaultPrevented;
        })"""
    )
    assert taken == [False, False]
    visit.cards()


def test_an_address_with_spaces_is_quoted(open_page: Open, model: Path) -> None:
    with HostileServer({"/a%20b.png": lambda connection: connection.respond(picture("red"))}) as server:
        visit = open_page(Settings(model=model, allowed_networks=LOOPBACK, allowed_ports=frozenset({server.port})))
        visit.ask(server.url("/a b.png"))
        visit.cards("Rosa Red")


def test_an_answer_of_something_in_between_is_told_in_words(visit: Visit) -> None:
    visit.page.route("**/predict", lambda route: route.fulfill(status=429, json={"message": "slow down"}))
    visit.ask("http://example.org/picture.jpg")
    expect(visit.cards("No answer")).to_contain_text("I can't reach the service.")


def test_a_picture_can_be_pasted(visit: Visit) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.evaluate(
        """bytes => navigator.clipboard.write([
            new ClipboardItem({ "image/png": new Blob([new Uint8Array(bytes)], { type: "image/png" }) }),
        ])""",
        list(picture("blue")),
    )
    visit.page.keyboard.press("Control+V")
    expect(visit.cards("Bella Blue").get_by_role("img")).to_be_visible()


@pytest.mark.parametrize("width", [1000, 320])
def test_every_face_has_its_box_with_a_name_and_is_listed(open_page: Open, model: Path, width: int) -> None:
    visit = open_page(Settings(model=model, framing="auto"), width=width)
    two = saved(photo((176, 80, "red"), (48, 80, "grey")))
    visit.choose({"name": "two.png", "mimeType": "image/png", "buffer": two})
    card = visit.cards("Rosa Red")
    expect(card.get_by_role("list", name="Further faces").get_by_role("listitem")).to_have_text(
        [re.compile(rf"{UNKNOWN}similarity 0\.\d\d")]
    )
    expect(card).to_contain_text(re.compile(r"answered in \d+ ms · decode \d+ ms · locate \d+ ms · infer \d+ ms"))
    image = card.get_by_role("img").bounding_box()
    assert image
    for name, left in (("Rosa Red", 144), (UNKNOWN, 16)):
        box = card.get_by_role("figure").get_by_text(name).bounding_box()
        assert box
        assert box["x"] - image["x"] == pytest.approx(image["width"] * left / 320, abs=1)
        assert (box["width"], box["height"]) == pytest.approx((image["width"] / 5, image["height"] * 0.4), abs=1)
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width


def test_it_says_which_network_recognizes(visit: Visit) -> None:
    expect(visit.page.get_by_role("contentinfo")).to_contain_text("recognized by the network mobilenet-v3-large.")


def test_a_picture_without_a_face_is_told_in_words(open_page: Open, model: Path) -> None:
    visit = open_page(Settings(model=model, framing="auto"))
    visit.choose(file("red"))
    expect(visit.cards("No answer")).to_contain_text("I find no upright face in this picture.")


# Errors


def test_errors_are_told_in_words(visit: Visit) -> None:
    visit.choose({"name": "notes.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"})
    card = visit.cards("No answer")
    expect(card).to_contain_text("This is not a picture that I can read.")
    expect(card.get_by_role("img")).to_have_count(0)
    visit.ask("http://127.0.0.1/picture.jpg")
    expect(visit.cards("No answer", "No answer").first).to_contain_text("I don't fetch from there")
    visit.page.route("**/predict", lambda route: route.abort())
    visit.ask("http://example.org/picture.jpg")
    expect(visit.cards(*["No answer"] * 3).first).to_contain_text("I can't reach the service.")


def test_an_error_without_words_of_its_own_has_those_of_the_service(open_page: Open, model: Path) -> None:
    with HostileServer({}) as server:
        visit = open_page(Settings(model=model, allowed_networks=LOOPBACK, allowed_ports=frozenset({server.port})))
        visit.ask(server.url("/nothing-there"))
        expect(visit.cards("No answer")).to_contain_text("The picture's server answered with status 404.")


def test_the_page_explains_no_error_that_does_not_exist(visit: Visit) -> None:
    script = visit.page.locator("script").inner_text()
    explained = set(re.findall(r"^  (\w+): \"", script, re.MULTILINE)) - {"no_answer"}
    assert explained
    assert explained <= {leaf.code for tree in (ServiceError, PictureError) for leaf in tree.leaves()}


def test_a_key_is_asked_for_only_by_a_service_that_has_one(open_page: Open, model: Path) -> None:
    visit = open_page()
    visit.choose(file("red"))
    visit.cards("Rosa Red")
    expect(visit.page.get_by_label("API key")).to_be_hidden()

    visit = open_page(Settings(model=model, api_key=SecretStr("sesame")))
    key = visit.page.get_by_label("API key")
    expect(key).to_be_hidden()
    expect(visit.page.get_by_role("link")).to_have_text(["Pictures", "People", "How good it is", "API"])
    visit.choose(file("blue"))
    expect(visit.cards("No answer")).to_contain_text("asks for its API key")
    expect(key).to_be_focused()
    expect(visit.page.get_by_role("link")).to_have_text(["Pictures", "People", "API"])
    visit.choose(file("red"))
    visit.cards("No answer", "No answer")
    for given in ("wrong", "sesame"):
        key.fill(given)
        # Both pictures are sent again. One that is in flight would not be sent with a further key.
        with visit.page.expect_response(SecondResponse("/predict/upload")):
            key.press("Enter")
        for card in visit.page.get_by_role("article").all():
            expect(card).to_have_attribute("aria-busy", "false")
    visit.cards("Rosa Red", "Bella Blue")
    expect(key).to_be_hidden()


# For everybody


def test_the_key_can_be_entered_while_one_picture_waits_for_it(open_page: Open, model: Path) -> None:
    visit = open_page(Settings(model=model, api_key=SecretStr("sesame")))
    visit.choose(file("red"))
    expect(visit.cards("No answer")).to_contain_text("asks for its API key")
    visit.page.route("**/predict", lambda route: route.abort())
    visit.ask("http://example.org/picture.jpg")
    expect(visit.cards("No answer", "No answer").first).to_contain_text("I can't reach the service.")
    expect(visit.page.get_by_label("API key")).to_be_visible()


def test_the_keyboard_reaches_everything_and_answers_are_announced(visit: Visit) -> None:
    page = visit.page
    for view in ("Pictures", "People"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name=view)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("choose a file")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("address of a picture")).to_be_focused()
    page.keyboard.insert_text(data_url(picture("red")))
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Recognize")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_have_text("Rosa Red. Similarity 1.00; a match needs 0.80.")


def test_it_fits_a_small_phone(open_page: Open) -> None:
    visit = open_page(width=320)
    visit.choose(file("red", "a-picture-with-a-rather-long-name-that-has-no-place-to-break.png"))
    visit.cards("Rosa Red")
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 320


def test_the_browser_is_told_to_run_nothing_but_the_page(serve: Service, model: Path) -> None:
    answer = requests.get(serve(Settings(model=model, api_key=SecretStr("sesame"))), timeout=9)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    policy = dict(directive.split(" ", 1) for directive in answer.headers["Content-Security-Policy"].split("; "))
    for directive in ("script-src", "style-src"):
        assert re.fullmatch(r"'sha256-[\w+/]{43}='", policy.pop(directive))
    assert policy == {
        "default-src": "'none'",
        "img-src": "blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
