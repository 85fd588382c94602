"""People on the page, in a real browser: enrol, correct, rename, merge and delete them."""

import re
from pathlib import Path

import pytest
from PIL import ImageFilter
from playwright.sync_api import FilePayload, Locator, expect
from pydantic import SecretStr

from facerec.inference.recognizer import FaceRecognizer
from facerec.people.model_choice import embedding_of
from facerec.people.samples import Box, Sample
from facerec.people.store import PeopleStore
from facerec.serving.settings import Settings
from tests.harness import data_url, photo, saved
from tests.serving.conftest import Open
from tests.serving.people_api import KEY, Api
from tests.serving.test_page import UNKNOWN
from tests.serving.visit import Visit
from tests.toy_model import TOY_NAMES

API_KEY = SecretStr(KEY["Authorization"].removeprefix("Bearer "))
CONSENT = "Enrol only people who agreed to it"
HOSTILE = "<img src=x onerror=alert(1)> & Söhne"


class PeopleVisit:
    """A visit of a service that has a key. The key is entered when the page asks for it."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.page = visit.page
        self.api = Api(visit.service)
        self.dialog = visit.page.get_by_role("dialog")
        self.name = self.dialog.get_by_label("Name")

    def unlock(self) -> None:
        self.page.get_by_label("API key").fill(API_KEY.get_secret_value())
        self.page.keyboard.press("Enter")

    def answer(self, *colours: str, identity: str = UNKNOWN, size: tuple[int, int] = (320, 160)) -> Locator:
        """The card of a picture with faces of these colours, once it is headed `identity`."""
        self.visit.choose(picture(*colours, size=size))
        card = self.page.get_by_role("article").first
        expect(card).to_have_attribute("aria-busy", "false")
        if self.page.get_by_label("API key").is_visible():
            self.unlock()
        headed(card, identity)
        return card

    def tab_to(self, element: Locator) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(100):
            if element.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        pytest.fail("Tab never leads to the element")

    def act(self, action: str, name: str | None = None) -> None:
        """Fill in the dialog and do what it offers."""
        if name is not None:
            self.name.fill(name)
        self.dialog.get_by_role("button", name=action, exact=True).click()

    def enrol(self, name: str, colour: str) -> None:
        """Enrol somebody without the page."""
        self.api.enrolled(name, drawn(colour))

    def enrolled(self) -> dict[str, int]:
        """How many samples the enrolled people have, as the service says."""
        return {name: person["samples"] for name, person in self.api.known().items() if person["id"]}

    def show_people(self) -> None:
        self.page.get_by_role("link", name="People").click()
        key, known = self.page.get_by_label("API key"), self.page.get_by_label("Filter by name")
        expect(key.or_(known).filter(visible=True)).to_be_visible()
        if key.is_visible():
            self.unlock()
        expect(known).to_be_visible()

    def person(self, name: str) -> Locator:
        """The entry of an enrolled person."""
        entries = self.page.get_by_role("list", name="Enrolled people").locator("> li")
        return entries.filter(has=self.page.get_by_text(name, exact=True))

    def open_person(self, name: str) -> Locator:
        """The same, with the samples shown."""
        self.person(name).get_by_text(name, exact=True).click()
        samples = self.person(name).get_by_role("list", name="Samples").get_by_role("listitem")
        expect(samples.first).to_contain_text("quality")
        return self.person(name)


def drawn(*colours: str, size: tuple[int, int] = (320, 160)) -> bytes:
    """A picture of faces of these colours side by side, the first one most prominent. The size makes it another one."""
    places = (176, 48) if len(colours) == 2 else (176,)
    return saved(photo(*((x, 80, colour) for x, colour in zip(places, colours, strict=True)), size=size))


def picture(*colours: str, size: tuple[int, int] = (320, 160)) -> FilePayload:
    return {"name": "faces.png", "mimeType": "image/png", "buffer": drawn(*colours, size=size)}


def headed(card: Locator, heading: str) -> None:
    expect(card.get_by_role("heading")).to_have_text(heading)
    expect(card).to_have_attribute("aria-busy", "false")


@pytest.fixture
def visit(open_page: Open, model: Path) -> PeopleVisit:
    return PeopleVisit(open_page(Settings(model=model, framing="auto", api_key=API_KEY)))


# Enrolling


def test_a_click_on_a_face_enrols_and_names_it(visit: PeopleVisit) -> None:
    card = visit.answer("yellow", "cyan", identity="0 of 2 faces recognized")
    card.get_by_role("button", name="2: Unknown person").click()
    expect(visit.dialog).to_have_accessible_name("Who is this?")
    expect(visit.dialog).to_contain_text(CONSENT)
    expect(visit.name).to_be_focused()
    visit.act("Enrol", "Ada")
    headed(card, "1 of 2 faces recognized")
    expect(card).to_contain_text("Enrolled as Ada.")
    expect(card).to_be_focused()
    expect(visit.page.get_by_role("status")).to_have_text(
        "Enrolled as Ada. 1 of 2 faces recognized. Unknown person, Ada."
    )

    card.get_by_role("listitem").get_by_role("button", name="Name this person").click()  # the other face
    visit.act("Enrol", "Cy")
    headed(card, "2 of 2 faces recognized")
    expect(card.get_by_role("list", name="Faces").locator("> li")).to_contain_text(["Cy", "Ada"])
    expect(card.get_by_role("figure")).to_have_text(re.compile("1Cy.*2Ada"))
    assert visit.enrolled() == {"Ada": 1, "Cy": 1}
    expect(visit.page.get_by_label("API key")).to_be_hidden()


def test_a_picture_at_an_address_can_be_enrolled_from(visit: PeopleVisit) -> None:
    visit.visit.ask(data_url(drawn("grey")))
    visit.unlock()
    card = visit.page.get_by_role("article")
    headed(card, UNKNOWN)
    card.get_by_role("button", name="Name this person").click()
    visit.act("Enrol", "Ada")
    headed(card, "Ada")


def test_a_name_that_is_enrolled_gets_a_further_sample(visit: PeopleVisit) -> None:
    visit.enrol("Ada Lovelace", "grey")
    card = visit.answer("grey", identity="Ada Lovelace", size=(320, 192))
    card.get_by_role("button", name="Wrong person?").click()
    expect(visit.dialog).to_contain_text("It was taken for Ada Lovelace, but not enrolled from this picture.")
    suggested = visit.page.locator("#names option").evaluate_all("all => all.map(({ value }) => value)")
    assert set(suggested) == {"Ada Lovelace", *TOY_NAMES}
    visit.act("Enrol", " Ada_Lovelace ")
    headed(card, "Ada Lovelace")
    expect(card).to_contain_text("Enrolled as Ada Lovelace.")
    assert visit.enrolled() == {"Ada Lovelace": 2}


def test_refusals_are_in_the_words_of_the_service(visit: PeopleVisit) -> None:
    blurred = photo((48, 80, "grey"), scale=4).filter(ImageFilter.GaussianBlur(6))
    visit.visit.choose({"name": "blurred.png", "mimeType": "image/png", "buffer": saved(blurred)})
    visit.unlock()
    card = visit.page.get_by_role("article")
    headed(card, UNKNOWN)
    card.get_by_role("button", name="Name this person").click()
    visit.act("Enrol", "Ada\u202e")
    expect(visit.dialog.get_by_role("alert")).to_have_text(re.compile("A name needs a character that can be seen"))
    visit.name.fill("Ada")
    expect(visit.dialog.get_by_role("alert")).to_be_hidden()
    visit.act("Enrol")
    expect(visit.dialog.get_by_role("alert")).to_have_text(re.compile("The face is blurred"))
    expect(visit.dialog.get_by_role("button")).to_have_text(["Enrol", "Cancel"])
    visit.act("Cancel")
    expect(visit.dialog).to_be_hidden()
    assert visit.enrolled() == {}


def test_a_face_like_another_person_is_enrolled_if_somebody_insists(visit: PeopleVisit) -> None:
    card = visit.answer("red", identity="Rosa Red")
    card.get_by_role("button", name="Wrong person?").click()
    visit.act("Enrol", "Ruth")
    expect(visit.dialog.get_by_role("alert")).to_contain_text("very like Rosa Red")
    expect(visit.dialog.get_by_role("button")).to_have_text(["Enrol", "Enrol anyway", "Cancel"])
    visit.act("Enrol anyway")
    headed(card, "Ruth")


def test_a_face_unlike_the_person_is_enrolled_if_somebody_insists(visit: PeopleVisit) -> None:
    visit.enrol("Ada", "yellow")
    card = visit.answer("cyan")
    card.get_by_role("button", name="Name this person").click()
    visit.act("Enrol", "Ada")
    expect(visit.dialog.get_by_role("alert")).to_contain_text("unlike this person's other pictures")
    visit.act("Enrol anyway")
    expect(card).to_contain_text("Enrolled as Ada.")
    assert visit.enrolled() == {"Ada": 2}


# Correcting


def test_a_sample_of_this_picture_can_be_removed(visit: PeopleVisit) -> None:
    visit.enrol("Ada", "grey")
    card = visit.answer("grey", identity="Ada")
    card.get_by_role("button", name="Wrong person?").click()
    expect(visit.dialog).to_contain_text(re.compile(r"is a sample of Ada \(.+ quality \d+%\)"))
    expect(visit.dialog).to_contain_text("It is the only one: Ada is deleted with it.")
    visit.act("Remove")
    headed(card, UNKNOWN)
    expect(card).to_contain_text("Removed from Ada.")
    assert visit.enrolled() == {}


@pytest.mark.parametrize("known", [False, True])
def test_a_sample_of_this_picture_can_be_moved(visit: PeopleVisit, known: bool) -> None:
    visit.enrol("Ada", "grey")
    if known:
        visit.enrol("Bo", "yellow")
    card = visit.answer("grey", identity="Ada")
    card.get_by_role("figure").get_by_role("button", name="Ada").click()
    visit.act("Move", "Bo")
    expect(card).to_contain_text("Moved from Ada to Bo.")
    headed(card, "Bo")
    assert visit.enrolled() == {"Bo": 1 + known}


def test_a_sample_whose_name_is_right_stays(visit: PeopleVisit) -> None:
    visit.enrol("Ada", "grey")
    card = visit.answer("grey", identity="Ada")
    card.get_by_role("button", name="Wrong person?").click()
    visit.act("Move", "Ada")
    expect(card).to_contain_text("It stays a sample of Ada.")
    assert visit.enrolled() == {"Ada": 1}


def test_the_sample_is_that_of_the_face_alone(visit: PeopleVisit) -> None:
    left, right = [16, 48, 64, 64], [144, 48, 64, 64]
    group = drawn("cyan", "cyan")
    visit.api.enrolled("Ada", group, box=right)
    visit.visit.choose(picture("cyan", "cyan"))
    visit.unlock()
    card = visit.page.get_by_role("article")
    headed(card, "2 of 2 faces recognized")
    other, enrolled = card.get_by_role("button", name="Wrong person?").all()
    other.click()
    expect(visit.dialog).to_contain_text("not enrolled from this picture")
    visit.act("Cancel")
    enrolled.click()
    expect(visit.dialog).to_contain_text("is a sample of Ada")
    visit.act("Cancel")
    other.click()
    visit.act("Enrol", "Ada")
    expect(card).to_contain_text("Enrolled as Ada.")
    samples = visit.api.ask("GET", f"/people/{visit.api.known()['Ada']['id']}").json()["samples"]
    assert [sample["box"] for sample in samples] == [right, left]


def test_what_was_deleted_in_the_meantime_is_told(visit: PeopleVisit) -> None:
    visit.enrol("Ada", "grey")
    card = visit.answer("grey", identity="Ada")
    visit.api.ask("DELETE", f"/people/{visit.api.known()['Ada']['id']}").raise_for_status()
    card.get_by_role("button", name="Wrong person?").click()
    expect(visit.dialog).to_contain_text("Nobody who is enrolled has this id.")
    visit.act("Close")
    expect(visit.dialog).to_be_hidden()


# The view of the people


def test_the_view_tells_enrolled_from_shipped_people_and_finds_names(visit: PeopleVisit) -> None:
    visit.enrol("Ada", "grey")
    visit.enrol("Bella Blue", "blue")
    visit.show_people()
    enrolled = visit.page.get_by_role("list", name="Enrolled people").locator("> li")
    shipped = visit.page.get_by_role("list", name="Shipped people").get_by_role("listitem")
    expect(visit.person("Ada")).to_contain_text("1 sample")
    expect(visit.person("Bella Blue")).to_contain_text("1 sample, and shipped")
    expect(shipped).to_have_text(["Rosa Red", "Gustav Green"])
    visit.page.get_by_label("Filter by name").fill("rEEn")
    expect(shipped).to_have_text(["Gustav Green"])
    expect(enrolled).to_have_count(0)


def test_of_many_people_some_are_listed_and_all_are_found(open_page: Open, model: Path) -> None:
    settings = Settings(model=model, framing="auto", api_key=API_KEY)
    recognizer = FaceRecognizer.load(model, threads=1)
    store = PeopleStore(settings.gallery, embedding_of(recognizer.metadata, recognizer.checksum))
    for number in range(201):
        store.add_person(f"Person {number:03}", [Sample(recognizer.directions[0], 1, "0" * 64, Box(0, 0, 9))])
    store.close()
    visit = PeopleVisit(open_page(settings))
    visit.show_people()
    expect(visit.page.get_by_role("heading", name="Enrolled")).to_have_text("Enrolled 200 of 201: filter to see others")
    expect(visit.person("Person 200")).to_have_count(0)
    visit.page.get_by_label("Filter by name").fill("person 2")
    expect(visit.person("Person 200")).to_be_visible()
    expect(visit.page.get_by_role("heading", name="Enrolled")).to_have_text("Enrolled 1")


def test_a_person_is_renamed(visit: PeopleVisit) -> None:
    visit.enrol("Ada", "grey")
    visit.show_people()
    visit.open_person("Ada").get_by_role("button", name="Rename").click()
    visit.act("Rename", "Bo")
    expect(visit.person("Bo")).to_be_visible()
    expect(visit.page.locator("#change")).to_have_text("Ada is Bo now.")
    assert visit.enrolled() == {"Bo": 1}


def test_a_person_is_merged_after_a_question(visit: PeopleVisit) -> None:
    visit.enrol("Ada", "grey")
    visit.enrol("Bo", "yellow")
    visit.show_people()
    visit.open_person("Ada").get_by_role("button", name="Rename").click()
    visit.act("Rename", "Bo")
    expect(visit.dialog.get_by_role("alert")).to_have_text(
        "Bo is enrolled already. Merge the two? Bo gets all samples of Ada."
    )
    assert visit.enrolled() == {"Ada": 1, "Bo": 1}
    visit.act("Merge")
    expect(visit.person("Bo")).to_contain_text("2 samples")
    expect(visit.person("Ada")).to_have_count(0)
    assert visit.enrolled() == {"Bo": 2}


def test_a_person_is_deleted_after_a_question(visit: PeopleVisit) -> None:
    visit.enrol("Ada", "grey")
    visit.show_people()
    delete = visit.open_person("Ada").get_by_role("button", name="Delete").first
    delete.click()
    expect(visit.dialog).to_contain_text("1 sample of Ada will be gone for good.")
    expect(visit.dialog.get_by_role("button", name="Cancel")).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(delete).to_be_focused()
    assert visit.enrolled() == {"Ada": 1}
    delete.click()
    visit.act("Delete")
    expect(visit.page.get_by_text("Nobody yet.")).to_be_visible()
    expect(visit.page.get_by_role("status")).to_have_text("Ada was deleted.")
    assert visit.enrolled() == {}


def test_samples_are_moved_and_deleted(visit: PeopleVisit) -> None:
    visit.enrol("Ada", "grey")
    visit.enrol("Bo", "yellow")
    visit.show_people()
    visit.open_person("Bo").get_by_role("button", name="Move").click()
    expect(visit.dialog).to_contain_text("It is the only one: Bo is deleted with it.")
    visit.act("Move", "Nobody")
    expect(visit.dialog.get_by_role("alert")).to_have_text("Nobody who is enrolled is called Nobody.")
    visit.act("Move", "Ada")
    expect(visit.person("Ada")).to_contain_text("2 samples")
    assert visit.enrolled() == {"Ada": 2}
    samples = visit.open_person("Ada").get_by_role("list", name="Samples").get_by_role("listitem")
    expect(samples).to_have_count(2)
    samples.first.get_by_role("button", name="Delete").click()
    visit.act("Delete")
    expect(visit.person("Ada")).to_contain_text("1 sample")
    expect(samples).to_have_count(1)  # still shown
    assert visit.enrolled() == {"Ada": 1}


# For everybody


def test_the_keyboard_enrols_and_deletes(visit: PeopleVisit) -> None:
    keyboard = visit.page.keyboard
    card = visit.answer("grey")
    face = card.get_by_role("figure").get_by_role("button", name=UNKNOWN)
    visit.tab_to(face)
    keyboard.press("Space")
    expect(visit.name).to_be_focused()
    keyboard.press("Escape")
    expect(visit.dialog).to_be_hidden()
    expect(face).to_be_focused()
    keyboard.press("Enter")
    expect(visit.name).to_be_focused()
    keyboard.insert_text("Ada")
    keyboard.press("Enter")
    headed(card, "Ada")

    visit.page.get_by_role("link", name="People").focus()
    keyboard.press("Enter")
    summary = visit.person("Ada").locator("summary")
    expect(summary).to_be_visible()
    visit.tab_to(summary)
    keyboard.press("Enter")
    keyboard.press("Tab")
    expect(visit.person("Ada").get_by_role("button", name="Rename")).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(visit.dialog.get_by_role("button", name="Cancel")).to_be_focused()
    keyboard.press("Shift+Tab")
    keyboard.press("Enter")
    expect(visit.page.get_by_role("heading", name="Whom it knows")).to_be_focused()
    assert visit.enrolled() == {}


def test_where_there_is_no_key_the_page_says_how_enrolling_is_turned_on(open_page: Open, model: Path) -> None:
    visit = PeopleVisit(open_page(Settings(model=model, framing="auto")))
    card = visit.answer("grey")
    card.get_by_role("button", name="Name this person").click()
    off = re.compile("Enrolling is off: the operator turns it on by starting the service with a key .* API_KEY")
    expect(visit.dialog.get_by_text(off)).to_be_visible()
    expect(visit.name).to_be_hidden()
    expect(visit.dialog.get_by_role("button")).to_have_text(["Close"])
    visit.page.keyboard.press("Escape")
    visit.show_people()
    expect(visit.page.get_by_role("region", name="Whom it knows").get_by_text(off)).to_be_visible()
    expect(visit.page.get_by_role("list", name="Shipped people").get_by_role("listitem")).to_have_text(list(TOY_NAMES))


def test_the_key_is_asked_for_again_if_it_is_another_one_now(visit: PeopleVisit) -> None:
    card = visit.answer("grey")
    card.get_by_role("button", name="Name this person").click()
    visit.name.fill("Ada")
    old = {"authorization": "Bearer an old one"}
    visit.page.route("**/people**", lambda route: route.continue_(headers=route.request.headers | old), times=1)
    visit.act("Enrol")
    expect(visit.dialog).to_be_hidden()
    expect(visit.page.get_by_label("API key")).to_be_focused()
    visit.unlock()
    expect(visit.name).to_have_value("Ada")
    visit.act("Enrol")
    headed(card, "Ada")


def test_markup_in_a_name_is_text(visit: PeopleVisit) -> None:
    card = visit.answer("grey")
    card.get_by_role("button", name="Name this person").click()
    visit.act("Enrol", HOSTILE)
    headed(card, HOSTILE)
    expect(card.get_by_role("figure")).to_have_text(HOSTILE)
    card.get_by_role("button", name="Wrong person?").click()
    expect(visit.dialog).to_contain_text(f"is a sample of {HOSTILE}")
    visit.act("Cancel")
    visit.show_people()
    visit.open_person(HOSTILE).get_by_role("button", name="Delete").first.click()
    expect(visit.dialog).to_contain_text(f"Delete {HOSTILE}?")
    expect(visit.page.locator("img")).to_have_count(1)  # the picture


def test_long_names_fit_a_small_phone(open_page: Open, model: Path) -> None:
    settings = Settings(model=model, framing="auto", api_key=API_KEY)
    visit = PeopleVisit(open_page(settings, width=320))
    visit.enrol("Å" * 200, "grey")
    card = visit.answer("grey", identity="Å" * 200)
    card.get_by_role("button", name="Wrong person?").click()
    expect(visit.dialog).to_be_visible()
    width = "element => element.scrollWidth - element.clientWidth"
    assert visit.dialog.evaluate(width) == 0
    visit.act("Cancel")
    visit.show_people()
    visit.open_person("Å" * 200)
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 320
