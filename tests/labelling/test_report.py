"""The report of labels, made from real pictures and opened in Debian's Chromium."""

import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html
from PIL import Image
from playwright.sync_api import Browser

from facerec.labelling.errors import LabelsNotFound, OutputNotWritable
from facerec.labelling.report import write_report
from facerec.labelling.report.contents import MOST_FACES, MOST_SECTIONS, read_contents
from facerec.labelling.rows import Row
from facerec.pictures.data_urls import read_data_url
from facerec.pictures.fetch import FetchLimits
from tests.harness import saved
from tests.hostile_server import HostileServer
from tests.labelling.group_labels import face, write_labels
from tests.serving.conftest import chromium as chromium_fixture

chromium = chromium_fixture

LIMITS = FetchLimits(deadline=5, max_bytes=10**7)


def write_photo(folder: Path, name: str, *, exif_turned: bool = False, scale: int = 1) -> str:
    """A photo of 200 x 100 pixels when upright, whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (200 * scale, 100 * scale), "blue")
    image.paste("red", (0, 0, 100 * scale, 100 * scale))
    exif = Image.Exif()
    if exif_turned:
        image, exif[274] = image.transpose(Image.Transpose.ROTATE_90), 6  # to be turned clockwise
    path = folder / name
    path.write_bytes(saved(image, "JPEG", quality=95, exif=exif))
    return str(path)


def place(path: str, left: int, size: int, **fields: Any) -> Row:
    """A row of a face at a place of a photo, as labelling would write it."""
    found = Path(path)
    sha256 = hashlib.sha256(found.read_bytes()).hexdigest() if found.is_file() else "0" * 64
    box: dict[str, Any] = {"left": left, "top": 20, "box_width": size, "box_height": size, "angle": 0.0, "score": 1.0}
    return face(path, 0, **{"sha256": sha256, "width": 200, "height": 100, **box, **fields})


def written(
    labels: Path, report: Path, limits: FetchLimits = LIMITS, *, naming: Sequence[str] = ()
) -> html.HtmlElement:
    """The page."""
    write_report(labels, report, limits, max_pixels=25_000_000, naming_options=naming)
    return html.fromstring(report.read_text(encoding="utf-8"))


def colours(page: html.HtmlElement) -> list[str]:
    """What colour the middle of each crop has; `gone` for a tile."""
    seen = []
    for item in page.xpath("//ul[@class='faces']/li/*"):
        if item.tag == "img":
            crop = Image.open(io.BytesIO(read_data_url(item.get("src"), max_bytes=10**6)))
            assert crop.size == (96, 96)
            red, _, blue = crop.convert("RGB").getpixel((48, 48))  # type: ignore[misc]
            seen.append("red" if red > 200 else "blue" if blue > 200 else "other")
        else:
            seen.append(item.get("class"))
    return seen


def test_faces_are_cut_out_of_their_pictures_upright(tmp_path: Path) -> None:
    plain = write_photo(tmp_path, "plain.jpg")
    turned = write_photo(tmp_path, "turned.jpg", exif_turned=True)
    large = write_photo(tmp_path, "large.jpg", scale=10)
    rows = [
        place(plain, 20, 60, identity="Ann"),
        place(plain, 120, 60, face=1, identity="Bob"),
        place(turned, 20, 59, identity="Ann"),
        place(large, 200, 600, identity="Ann", top=200),
        place(large, 1200, 600, face=1, identity="Bob", top=200),
    ]
    page = written(write_labels(tmp_path / "labels", rows), tmp_path / "report.html")
    assert page.xpath("//h3/text()") == ["Ann", "Bob"]
    assert colours(page) == ["red"] * 3 + ["blue"] * 2
    assert page.xpath("(//article)[1]/p/text()") == ["3 faces in 3 pictures"]


def test_pictures_that_are_gone_changed_or_damaged_are_tiles(tmp_path: Path) -> None:
    changed, damaged = write_photo(tmp_path, "changed.jpg"), tmp_path / "damaged.jpg"
    damaged.write_bytes(b"no picture")
    rows = [
        place(changed, 20, 60, identity="Ann", sha256="0" * 64),
        place(str(damaged), 20, 59, identity="Ann"),
        place(str(tmp_path / "gone.jpg"), 20, 58, identity="Ann"),
        place("http://127.0.0.1:9/photo.jpg", 20, 57, identity="Ann"),
    ]
    page = written(write_labels(tmp_path / "labels", rows), tmp_path / "report.html")
    assert colours(page) == ["gone"] * 4
    assert page.xpath("//span/@aria-label")[2] == f"A picture that is gone or has changed: {tmp_path}/gone.jpg"


def test_pictures_at_urls_are_fetched(tmp_path: Path) -> None:
    data = Path(write_photo(tmp_path, "photo.jpg")).read_bytes()
    with HostileServer({"/photo.jpg": lambda connection: connection.respond(data)}) as server:
        row = place(server.url("/photo.jpg"), 20, 60, identity="Ann", sha256=hashlib.sha256(data).hexdigest())
        limits = FetchLimits(
            deadline=5,
            max_bytes=10**7,
            allowed_ports=frozenset({server.port}),
            allowed_networks=(ip_network("127.0.0.0/8"),),
        )
        page = written(write_labels(tmp_path / "labels", [row]), tmp_path / "report.html", limits)
    assert colours(page) == ["red"]


def test_groups_come_by_size_with_the_command_that_names_them(tmp_path: Path) -> None:
    rows = [place(f"/{number}.jpg", 20, 60, group="g1" if number < 2 else "g12") for number in range(5)]
    page = written(write_labels(tmp_path / "my labels", [*rows, place("/x.jpg", 1, 9)]), tmp_path / "report.html")
    assert page.xpath("//h3/text()") == ["Group g12", "Group g1"]
    assert page.xpath("//pre/code/text()")[0] == f"facerec people name g12 \"NAME\" --labels '{tmp_path}/my labels'"
    assert "1 unknown face is in no group." in page.text_content()
    page = written(tmp_path / "my labels", tmp_path / "report.html", naming=["--gallery", "/my people.sqlite"])
    assert page.xpath("//pre/code/text()")[0].endswith("my labels' --gallery '/my people.sqlite'")


def test_errors_are_counted_by_kind_with_examples(tmp_path: Path) -> None:
    broken = [Row(f"/{number}.jpg", error_code="b", error_message="Broken.") for number in range(7)]
    page = written(
        write_labels(tmp_path / "labels", [Row("/a.jpg", error_code="a", error_message="Ah."), *broken]),
        tmp_path / "report.html",
    )
    heads = [" ".join(each.text_content().split()) for each in page.xpath("//h3")]
    assert heads == ["7 pictures: b", "1 picture: a"]
    assert len(page.xpath("(//ul[@class='paths'])[1]/li")) == 5
    assert "and 2 more" in page.text_content()
    assert page.xpath("//dd/text()") == ["8", "0", "0", "0", "0", "8"]


def test_what_has_no_room_is_counted(tmp_path: Path) -> None:
    many = [place(f"/{number}.jpg", 1, number + 1, identity="Ann") for number in range(MOST_FACES + 8)]
    others = [place(f"/o{number}.jpg", 1, 9, identity=f"Other {number}") for number in range(MOST_SECTIONS + 4)]
    labels = write_labels(tmp_path / "labels", many, others)
    contents = read_contents(sorted(labels.glob("*.parquet")))
    assert (len(contents.people), contents.more_people, contents.pictures) == (MOST_SECTIONS, 5, len(many + others))
    ann = contents.people[0]
    assert (ann.name, ann.faces, len(ann.shown)) == ("Ann", MOST_FACES + 8, MOST_FACES)
    assert [shown.face.size for shown in ann.shown] == list(range(MOST_FACES + 8, 8, -1))
    assert "5 more people with fewer faces." in written(labels, tmp_path / "report.html").text_content()


def test_labels_that_are_not_there_and_reports_that_can_not_be_written_say_so(tmp_path: Path) -> None:
    with pytest.raises(LabelsNotFound):
        written(tmp_path, tmp_path / "report.html")
    labels = write_labels(tmp_path / "labels", [Row("/a.jpg")])
    with pytest.raises(OutputNotWritable):
        written(labels, tmp_path / "no" / "report.html")


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1200, "dark")])
def test_a_browser_shows_it_without_scripts_network_or_hostile_names(
    tmp_path: Path, chromium: Browser, width: int, scheme: str
) -> None:
    hostile = "\"><img src=http://127.0.0.1:9/x onerror=alert(1)><script>alert(1)</script>{{ 7 * 7 }}'"
    photo = write_photo(tmp_path, "photo.jpg")
    rows = [
        place(photo, 20, 60, identity=hostile),
        place(f"/{hostile}.jpg", 20, 60, group="g1"),
        place("/" + "long" * 60, 20, 60, group="g1"),
        Row(f"/{hostile}", error_code="broken", error_message=hostile),
    ]
    labels = write_labels(tmp_path / "la'bels", rows)
    with ThreadPoolExecutor() as threads:  # Playwright keeps an event loop in this one
        threads.submit(written, labels, tmp_path / "report.html").result()
    complaints: list[str] = []
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: complaints.append(request.url) if request.url[:4] == "http" else None)
    page.goto((tmp_path / "report.html").as_uri())
    assert page.locator("h3").first.text_content() == hostile
    assert page.evaluate("[...document.images].map(image => [image.naturalWidth, image.alt.length > 0])") == [
        [96, True]
    ]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dark = (
        np.mean([int(part) for part in page.evaluate("getComputedStyle(document.body).color")[4:-1].split(",")]) > 128
    )
    assert dark == (scheme == "dark")
    assert complaints == []
    page.close()
