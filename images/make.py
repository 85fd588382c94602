"""Make the two pictures of the README that training doesn't draw.

    uv run -m images.make

sample.jpg, a picture to try, shows six images of LFW: a test image of each of four known people, and two unknown people
who chose no threshold, all drawn at random. page.png is how the service's page answers it in Chromium. Needs Chromium,
and LFW, which `train.py` has downloaded to data/lfw-funneled.tgz, or where the variable LFW says.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.lfw import LfwFiles, find_lfw
from facerec.serving.settings import Settings
from tests.harness import running
from tests.serving.conftest import CHROMIUM
from tests.shipped import ROOT

SAMPLE = ROOT / "images" / "sample.jpg"
PAGE = ROOT / "images" / "page.png"
KNOWN_PEOPLE, UNKNOWN_PEOPLE, COLUMNS = 4, 2, 3
MARGIN = 12
"""Pixels between the images, and around them."""


def main() -> None:
    """Make both pictures."""
    compose_sample(find_lfw(ROOT / "data")).save(SAMPLE, quality=90)
    take_screenshot(PAGE)
    print(f"{SAMPLE} and {PAGE} are made.")


def compose_sample(lfw: LfwFiles) -> Image.Image:
    """Six images of LFW beside and below one another on a light ground."""
    random = np.random.default_rng(0)
    split = lfw.split
    known = random.permutation(len(split.people))[:KNOWN_PEOPLE]
    shown = [int(random.choice(split.test[split.labels[split.test] == person])) for person in known]
    shown += random.choice(split.unknown_test, UNKNOWN_PEOPLE, replace=False).tolist()
    images = [Image.open(lfw.files[index]) for index in random.permutation(shown)]
    step = images[0].width + MARGIN  # all images of LFW are squares of one size
    rows = len(images) // COLUMNS
    sample = Image.new("RGB", (COLUMNS * step + MARGIN, rows * step + MARGIN), "#f4f4f4")
    for place, image in enumerate(images):
        row, column = divmod(place, COLUMNS)
        sample.paste(image, (MARGIN + column * step, MARGIN + row * step))
    return sample


def take_screenshot(page_picture: Path) -> None:
    """Start the service as it comes, with nobody enrolled, give its page the sample, and save what a visitor sees."""
    with (
        TemporaryDirectory() as folder,
        running(Settings(gallery=Path(folder) / "people.sqlite"), write_log=lambda _: None) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme="light")
        page.goto(address)
        page.get_by_label("choose a file").set_input_files(SAMPLE)
        page.get_by_role("article").and_(page.locator("[aria-busy=false]")).wait_for()
        page.get_by_role("article").screenshot(path=page_picture)
        browser.close()


if __name__ == "__main__":
    main()
