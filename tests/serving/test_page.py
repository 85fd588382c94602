"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import FilePayload, Request, Response, Route, expect
from pydantic import SecretStr

from facerec.pictures.errors import PictureError
from facerec.serving.errors import ServiceError
from facerec.serving.settings import Settings
from tests.harness import LOOPBACK, data_url, picture
from tests.hostile_server import HostileServer
from tests.serving.conftest import Open, Service
from tests.serving.visit import Visit

UNKNOWN = "Unknown person"


class Second:
    """True for the second request to a path, or the second response from it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0

    def __call__(self, event: Request | Response) -> bool:
        self._count += self._path in event.url
        return self._count == 2


@pytest.fixture
def visit(open_page: Open) -> Visit:
    return open_page()


def file(colour: str, name: str = "picture.png") -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": picture(colour)}


# Pictures


def test_a_picture_at_an_address_is_shown_without_the_browser_asking_its_server(open_page: Open, model: Path) -> None:
    with HostileServer({"/rosa.png": lambda connection: connection.respond(picture("red"))}) as server:
        visit = open_page(Settings(model=model, allowed_networks=LOOPBACK, allowed_ports=frozenset({server.port})))
        visit.ask(server.url("/rosa.png"))
        card = visit.cards("Rosa Red")
        expect(card).to_contain_text("/rosa.png")
        expect(visit.picture(card)).to_be_visible()
        assert len(server.heads) == 1  # the service's; the fixture checks that the browser sent none


def test_a_chosen_file_shows_with_its_name(visit: Visit) -> None:
    visit.choose(file("lime", "gustav.png"))
    card = visit.cards("Gustav Green")
    expect(visit.picture(card)).to_be_visible()
    expect(card).to_contain_text("gustav.png")


def test_a_file_that_no_browser_shows_is_shown_as_it_was_read(visit: Visit) -> None:
    visit.choose({"name": "scan.tiff", "mimeType": "image/tiff", "buffer": picture("lime", file_format="TIFF")})
    expect(visit.picture(visit.cards("Gustav Green"))).to_be_visible()


def test_a_data_url_needs_no_other_host_and_is_shown(visit: Visit) -> None:
    visit.ask(data_url(picture("blue")))
    expect(visit.picture(visit.cards("Bella Blue"))).to_be_visible()


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


def dropped(visit: Visit, target: str, addresses: str) -> list[bool]:
    """Drag a list of addresses over an element and drop it there. Whether the page took either event."""
    return list(
        visit.page.evaluate(
            """([target, addresses]) => ["dragover", "drop"].map((name) => {
                const dataTransfer = new DataTransfer();
                dataTransfer.setData("text/uri-list", addresses);
                const event = new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true });
                document.querySelector(target).dispatchEvent(event);
                return event.defaultPrevented;
            })""",
            [target, addresses],
        )
    )


def test_an_address_that_is_dropped_is_asked_about(visit: Visit) -> None:
    url = data_url(picture("red"))
    assert dropped(visit, ".drop", f"# from a page\r\n{url}\r\n") == [True, True]
    visit.cards("Rosa Red")


def test_a_field_takes_an_address_itself(visit: Visit) -> None:
    assert dropped(visit, "#url", "https://example.org/picture.jpg") == [False, False]
    visit.cards()


def test_a_photo_can_be_taken_where_there_is_a_touch_screen(open_page: Open) -> None:
    visit = open_page()
    expect(visit.page.get_by_label("Take a photo")).to_be_hidden()
    phone = open_page(width=390, touch=True)
    expect(phone.page.get_by_text("Take a photo")).to_be_visible()
    camera = phone.page.get_by_label("Take a photo")
    expect(camera).to_have_attribute("capture", "environment")
    camera.set_input_files([file("red")])
    phone.cards("Rosa Red")


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
    expect(visit.picture(visit.cards("Bella Blue"))).to_be_visible()


def test_it_says_which_network_recognizes(visit: Visit) -> None:
    expect(visit.page.get_by_role("contentinfo")).to_contain_text("recognized by the network mobilenet-v3-large.")


def test_no_face_is_an_answer_with_a_way_on(open_page: Open, model: Path) -> None:
    visit = open_page(Settings(model=model, framing="auto"))
    visit.ask(data_url(picture("red")))
    card = visit.cards("No face found")
    expect(card).not_to_have_class("problem")
    expect(card).to_contain_text("A picture in which a face is larger and upright works better.")
    expect(visit.picture(card)).to_be_visible()
    card.get_by_role("button", name="Take the middle").click()
    expect(visit.picture(visit.cards("Rosa Red"))).to_be_visible()


# Errors


def test_errors_are_told_in_words(visit: Visit) -> None:
    visit.choose({"name": "notes.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"})
    card = visit.cards("No answer")
    expect(card).to_contain_text("This is not a picture that I can read.")
    expect(visit.picture(card)).to_be_hidden()
    visit.ask("http://127.0.0.1/picture.jpg")
    expect(visit.cards("No answer", "No answer").first).to_contain_text("I don't fetch from there")
    visit.page.route("**/predict", lambda route: route.abort())
    visit.ask("http://example.org/picture.jpg")
    expect(visit.cards(*["No answer"] * 3).first).to_contain_text("I can't reach the service.")


@pytest.mark.parametrize(
    ("limits", "side", "words"),
    [
        (
            {"max_bytes": 1024},
            100,
            "This file is too large for me. Try a smaller version of the picture. The picture has",
        ),
        (
            {"max_pixels": 62_500},
            300,
            "too many pixels for me. Try a smaller version of it. The picture has more than 62,5",
        ),
    ],
)
def test_refusals_name_the_limit(open_page: Open, model: Path, limits: dict[str, int], side: int, words: str) -> None:
    visit = open_page(Settings.model_validate({"model": model, **limits}))
    large = picture(size=(side, side), file_format="BMP")
    visit.choose({"name": "large.bmp", "mimeType": "image/bmp", "buffer": large})
    expect(visit.cards("No answer")).to_contain_text(words)


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
    visit.choose(file("blue"))
    expect(visit.cards("No answer")).to_contain_text("asks for its API key")
    expect(key).to_be_focused()
    visit.choose(file("red"))
    visit.cards("No answer", "No answer")
    for given in ("wrong", "sesame"):
        key.fill(given)
        with visit.page.expect_response(Second("/predict/upload")):  # both pictures are sent again
            key.press("Enter")
        for card in visit.page.get_by_role("article").all():
            expect(card).to_have_attribute("aria-busy", "false")
    visit.cards("Rosa Red", "Bella Blue")
    expect(key).to_be_hidden()


def test_a_picture_in_flight_is_sent_again_with_the_key(open_page: Open, model: Path) -> None:
    visit = open_page(Settings(model=model, api_key=SecretStr("sesame")))
    sent: list[Route] = []

    def hold_second(route: Route) -> None:
        sent.append(route)
        if len(sent) != 2:
            route.continue_()

    visit.page.route("**/predict/upload", hold_second)
    with visit.page.expect_request(Second("/predict/upload")):
        visit.choose(file("red"), file("blue"))
    key = visit.page.get_by_label("API key")
    key.fill("sesame")
    key.press("Enter")
    sent[1].continue_()
    visit.cards("Rosa Red", "Bella Blue")
    expect(key).to_be_hidden()


def test_the_key_can_be_entered_while_one_picture_waits_for_it(open_page: Open, model: Path) -> None:
    visit = open_page(Settings(model=model, api_key=SecretStr("sesame")))
    visit.choose(file("red"))
    expect(visit.cards("No answer")).to_contain_text("asks for its API key")
    visit.page.route("**/predict", lambda route: route.abort())
    visit.ask("http://example.org/picture.jpg")
    expect(visit.cards("No answer", "No answer").first).to_contain_text("I can't reach the service.")
    expect(visit.page.get_by_label("API key")).to_be_visible()


# For everybody


def test_the_keyboard_reaches_everything_and_answers_are_announced(visit: Visit) -> None:
    page = visit.page
    for view in ("Pictures", "People", "How good it is"):
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
    expect(page.get_by_role("status")).to_have_text("Rosa Red.")


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
