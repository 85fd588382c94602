"""What the page shows of an answer: the picture with its faces, the list of them, and what can be done with all."""

import json
import re
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, FloatRect, Locator, Route, expect
from pydantic import SecretStr

from facerec.serving.settings import Settings
from tests.harness import photo, picture, saved
from tests.serving.conftest import Open
from tests.serving.test_page import UNKNOWN
from tests.serving.visit import Visit
from tests.shipped import DETECTOR

FIGURES = re.compile(r"%|\bms\b|imilarity|\d\.\d")
"""What no visitor wants to read before they ask for it."""


@pytest.fixture
def visit(open_page: Open, model: Path) -> Visit:
    return open_page(Settings(model=model, framing="auto"))


def file(image: Image.Image, name: str = "faces.png") -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": saved(image)}


def faces(*colours: str, scale: int = 1) -> FilePayload:
    """A picture of 320 x 160 pixels times `scale`, with faces of these colours, the most prominent first."""
    places = (144, 240, 48) if len(colours) == 3 else (176, 48)
    return file(photo(*((x, 80, colour) for x, colour in zip(places, colours, strict=False)), scale=scale))


ROW_COLOURS = ("red", "grey", "lime", "grey")


def entries(card: Locator) -> Locator:
    return card.get_by_role("list", name="Faces").locator("> li")


def rectangle(locator: Locator) -> FloatRect:
    box = locator.bounding_box()
    assert box
    return box


def overlap(one: FloatRect, other: FloatRect) -> bool:
    """Whether the two share more than an edge, which may be half a pixel off."""
    return (
        one["x"] + 0.5 < other["x"] + other["width"]
        and other["x"] + 0.5 < one["x"] + one["width"]
        and one["y"] + 0.5 < other["y"] + other["height"]
        and other["y"] + 0.5 < one["y"] + one["height"]
    )


# The list


def test_a_group_is_summed_up_and_each_face_has_a_number_a_name_and_how_sure_it_is(visit: Visit) -> None:
    visit.choose(faces("red", "salmon", "grey"))
    card = visit.cards("2 of 3 faces recognized")
    expect(entries(card)).to_have_text(
        [
            re.compile(rf"^\s*1\s*{UNKNOWN}\s"),
            re.compile(r"^\s*2\s*Rosa Red\s*sure\s"),
            re.compile(r"^\s*3\s*Rosa Red\s*fairly sure\s"),
        ]
    )
    assert not FIGURES.search(card.inner_text())
    expect(visit.page.get_by_role("status")).to_have_text(f"2 of 3 faces recognized. {UNKNOWN}, Rosa Red, Rosa Red.")


def test_faces_are_numbered_as_one_reads(visit: Visit) -> None:
    places = ((240, 240), (80, 80), (240, 80), (80, 240))
    faces_at = [(x, y, colour) for (x, y), colour in zip(places, ROW_COLOURS, strict=True)]
    visit.choose(file(photo(*faces_at, size=(320, 320))))
    card = visit.cards("2 of 4 faces recognized")
    boxes = [rectangle(card.get_by_role("button", name=re.compile(f"^{number}:"))) for number in (1, 2, 3, 4)]
    assert [box["x"] < boxes[1]["x"] for box in boxes] == [True, False, True, False]
    assert max(boxes[0]["y"], boxes[1]["y"]) < min(boxes[2]["y"], boxes[3]["y"])


def test_one_face_is_named_once(visit: Visit) -> None:
    visit.choose(faces("lime"))
    card = visit.cards("Gustav Green")
    assert card.inner_text().count("Gustav Green") == 2  # in the heading and at the face
    expect(entries(card)).to_contain_text("sure")
    assert not FIGURES.search(card.inner_text())


def test_who_is_nearest_to_an_unknown_person_is_told_on_request(visit: Visit) -> None:
    visit.choose(faces("grey"))
    card = visit.cards(UNKNOWN)
    nearest = card.get_by_text("Rosa Red", exact=True)
    expect(nearest.first).to_be_hidden()
    card.get_by_text("Most similar").click()
    expect(nearest.filter(visible=True)).to_have_count(1)
    expect(card.get_by_text("None is near enough for a match.")).to_be_visible()
    assert not FIGURES.search(card.inner_text())


def test_figures_are_in_a_fold(visit: Visit) -> None:
    visit.choose(faces("red", "grey"))
    card = visit.cards("1 of 2 faces recognized")
    card.get_by_text("Figures").click()
    rows = card.get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("0.606")
    expect(rows.nth(2)).to_have_text(re.compile(r"2Rosa Red0\.99\d0\.800Rosa Red 100%"))
    assert "0%" not in re.sub("100%", "", card.inner_text())
    times = r"answered in \d+ ms · decode \d+ ms · preview \d+ ms · locate \d+ ms · infer \d+ ms"
    expect(card).to_contain_text(re.compile(times))


def test_it_says_how_many_faces_are_shown(open_page: Open, model: Path) -> None:
    visit = open_page(Settings(model=model, framing="auto", max_faces=7))
    visit.choose(file(Image.new("RGB", (320, 320), "magenta")))
    expect(visit.cards("0 of 7 faces recognized")).to_contain_text("7 of 100 faces shown, the most prominent ones.")


def test_it_says_that_it_knows_nobody(open_page: Open, model: Path) -> None:
    visit = open_page(Settings(model=model, framing="auto", shipped_people=False))
    visit.choose(faces("red"))
    card = visit.cards(UNKNOWN)
    expect(card).to_contain_text("Nobody is known yet.")
    expect(card.get_by_text("Most similar")).to_be_hidden()


# The picture


@pytest.mark.parametrize("width", [1280, 320])
def test_boxes_are_at_their_faces(open_page: Open, model: Path, width: int) -> None:
    visit = open_page(Settings(model=model, framing="auto"), width=width)
    visit.choose(faces("red", "grey"))
    card = visit.cards("1 of 2 faces recognized")
    image = rectangle(visit.picture(card))
    for name, left in ((f"1: {UNKNOWN}", 16), ("2: Rosa Red", 144)):
        box = rectangle(card.get_by_role("button", name=name))
        assert box["x"] - image["x"] == pytest.approx(image["width"] * left / 320, abs=1)
        assert (box["width"], box["height"]) == pytest.approx((image["width"] / 5, image["height"] * 0.4), abs=1)
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width


def test_a_large_picture_fills_the_window_and_a_small_one_at_most_doubles(visit: Visit) -> None:
    page = visit.page
    page.set_viewport_size({"width": 1000, "height": 800})
    visit.choose(faces("red", "grey", scale=8))  # 2560 x 1280, shown as 1600 x 800
    assert rectangle(visit.picture(visit.cards("1 of 2 faces recognized")))["width"] > 500
    page.set_viewport_size({"width": 600, "height": 800})
    assert rectangle(visit.picture(visit.cards("1 of 2 faces recognized")))["width"] > 500
    page.set_viewport_size({"width": 1000, "height": 300})
    expect(page.get_by_role("article").get_by_role("figure")).to_have_css("height", "240px")
    page.set_viewport_size({"width": 1900, "height": 1600})
    visit.choose(faces("red", "lime"))
    assert rectangle(visit.picture(visit.page.get_by_role("article").first))["width"] == 640


def test_pointer_and_focus_light_up_a_face_in_both_places(visit: Visit) -> None:
    visit.choose(faces("red", "grey"))
    card = visit.cards("1 of 2 faces recognized")
    entry, mark, tag = (
        entries(card).nth(0),
        card.get_by_role("button", name=f"1: {UNKNOWN}"),
        card.locator(".tag").nth(0),
    )
    for lit in (entry, mark):
        lit.hover()
        for element in (entry, mark, tag):
            expect(element).to_have_class(re.compile("lit"))
        visit.page.mouse.move(1, 1)
        expect(card.locator(".lit")).to_have_count(0)
    for focused in (entry.get_by_role("button"), mark):
        focused.focus()
        for element in (entry, mark, tag):
            expect(element).to_have_class(re.compile("lit"))
        card.focus()
        expect(card.locator(".lit")).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 320])
def test_names_overlap_nothing_and_are_whole(open_page: Open, model: Path, width: int) -> None:
    visit = open_page(Settings(model=model, framing="auto"), width=width)
    crowd = [(x, y, "red") for x in (48, 144, 240) for y in (48, 144, 240)]
    visit.choose(file(photo(*crowd, size=(320, 320))))
    card = visit.cards("9 of 9 faces recognized")
    tags = [rectangle(tag) for tag in card.locator(".tag").all()]
    boxes = [rectangle(box) for box in card.locator(".face").all()]
    image = rectangle(visit.picture(card))
    assert len(tags) == len(boxes) == 9
    named = card.locator(".tag.named").count()
    assert (named == 9) == (width == 1280)
    for index, tag in enumerate(tags):
        assert not any(overlap(tag, other) for other in tags[:index])
        assert image["x"] <= tag["x"] + 1
        assert tag["x"] + tag["width"] <= image["x"] + image["width"] + 1
    for name in card.locator(".tag.named").all():
        assert not any(overlap(rectangle(name), box) for box in boxes)
        assert name.evaluate("tag => tag.scrollWidth <= tag.clientWidth")


def test_a_click_enlarges_the_picture_and_escape_puts_it_back(visit: Visit) -> None:
    visit.choose(faces("red", "grey"))
    card = visit.cards("1 of 2 faces recognized")
    before = rectangle(visit.picture(card))
    zoom = visit.page.get_by_role("dialog", name="The picture, enlarged")
    visit.picture(card).focus()
    visit.page.keyboard.press("Enter")
    expect(zoom).to_be_visible()
    assert rectangle(visit.picture(zoom))["width"] > 1.5 * before["width"]
    expect(zoom.get_by_role("button", name="2: Rosa Red")).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(zoom).to_be_hidden()
    expect(visit.picture(card)).to_be_focused()
    assert rectangle(visit.picture(card)) == before
    for close in (zoom.get_by_role("button", name="Close"), visit.picture(zoom)):
        visit.picture(card).click(position={"x": 3, "y": 3})
        close.click(position={"x": 3, "y": 3})
        expect(zoom).to_be_hidden()
    visit.picture(card).click(position={"x": 3, "y": 3})
    zoom.get_by_role("button", name="2: Rosa Red").click()
    expect(visit.page.get_by_role("dialog", name="Who is this?")).to_be_visible()
    expect(zoom).to_be_hidden()


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_picture_that_lies_on_its_side_is_shown_as_it_was_read(open_page: Open, model: Path, turn: int) -> None:
    upright = Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    visit = open_page(Settings(model=model, detector=DETECTOR, framing="auto"))
    visit.choose(file(upright.rotate(-turn, expand=True)))
    card = visit.page.get_by_role("article")
    expect(card).to_have_attribute("aria-busy", "false")
    image, box = rectangle(visit.picture(card)), rectangle(card.locator(".face"))
    assert image["width"] / image["height"] == pytest.approx(upright.width / upright.height, abs=0.01)
    x, y = (265 / upright.width * image["width"], 223 / upright.height * image["height"])  # her face
    assert box["x"] < image["x"] + x < box["x"] + box["width"]
    assert box["y"] < image["y"] + y < box["y"] + box["height"]
    red, green, blue = (
        visit.picture(card)
        .locator("img")
        .evaluate(
            """image => {
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            return [...context.getImageData(265, 300, 1, 1).data].slice(0, 3);
        }"""
        )
    )
    assert (red, green, blue) == pytest.approx(upright.getpixel((265, 300)), abs=25)
    assert (turn > 0) == ("I turned it" in card.inner_text())


# All answers


def test_answers_are_copied_downloaded_and_cleared(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    expect(page.get_by_role("button", name="Clear all")).to_be_hidden()
    visit.choose(faces("red", "grey"), {"name": "wall.png", "mimeType": "image/png", "buffer": picture("white")})
    visit.cards("1 of 2 faces recognized", "No face found")
    page.get_by_role("button", name="Copy names").click()
    expect(page.get_by_role("status")).to_have_text("Names copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "faces.png: Rosa Red, unknown person"
    page.get_by_role("button", name="Copy JSON").click()
    expect(page.get_by_text("JSON copied.").filter(visible=True).first).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert [(each["source"], each["identity"], "picture" in each) for each in copied] == [
        ("faces.png", "Rosa Red", False)
    ]
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    assert download.value.suggested_filename == "answers.json"
    download.value.save_as(tmp_path / "answers.json")
    assert json.loads((tmp_path / "answers.json").read_text()) == copied
    page.get_by_role("button", name="Clear all").click()
    visit.cards()
    expect(page.get_by_role("button", name="Clear all")).to_be_hidden()
    expect(page.get_by_label("choose a file")).to_be_focused()


def test_what_was_cleared_while_it_waited_is_not_asked_about(visit: Visit) -> None:
    held: list[Route] = []
    visit.page.route("**/predict/upload", lambda route: route.continue_() if held else held.append(route))
    visit.choose(faces("red"), faces("grey"))
    visit.cards("Looking …", "Looking …")
    visit.page.get_by_role("button", name="Clear all").click()
    held[0].continue_()
    visit.choose(faces("blue"))
    visit.cards("Bella Blue")
    assert sum(entry.endswith("/predict/upload") for entry in visit.traffic) == 2
    expect(visit.page.get_by_role("status")).to_have_text("Bella Blue.")


# How good it is


def test_how_good_it_is_is_told_in_words(open_page: Open, model: Path) -> None:
    visit = open_page(Settings(model=model, api_key=SecretStr("sesame")))
    visit.page.get_by_role("link", name="How good it is").click()
    key = visit.page.get_by_label("API key")
    expect(key).to_be_focused()
    key.fill("sesame")
    visit.page.keyboard.press("Enter")
    region = visit.page.get_by_role("region", name="How good it is")
    expect(region).to_contain_text("It learned to know 3 people in its training")
    expect(region).to_contain_text("“fairly sure” where the face is just near enough")
    expect(region.get_by_text("mobilenet-v3-large")).to_be_hidden()
    region.get_by_text("Details").click()
    expect(region.get_by_text("mobilenet-v3-large")).to_be_visible()
    expect(visit.page.get_by_role("link", name="How good it is")).to_have_attribute("aria-current", "page")
