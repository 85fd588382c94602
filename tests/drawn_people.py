"""Small pictures of drawn people, for tests that need a data set but not a real one."""

import colorsys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def draw_person(person: int, picture: int) -> Image.Image:
    """One of many pictures of a drawn person: the person decides shape and colours, the picture place and light."""
    random = np.random.default_rng([person, picture])
    light = random.uniform(0.8, 1.0)

    def colour(hue: float) -> tuple[int, ...]:
        return tuple(round(255 * light * channel) for channel in colorsys.hsv_to_rgb(hue % 1, 0.7, 0.9))

    image = Image.new("RGB", (250, 250), tuple(random.integers(0, 255, 3).tolist()))
    draw = ImageDraw.Draw(image)
    x, y = (125 + random.integers(-6, 7, 2)).tolist()
    width = 35 + 7 * (person % 4)
    draw.ellipse((x - width, y - 60, x + width, y + 60), fill=colour(0.618 * person))
    for side in (-18, 18):
        draw.ellipse((x + side - 9, y - 22, x + side + 9, y - 8), fill=colour(0.618 * person + 0.4))
    draw.rectangle((x - 20, y + 20, x + 20, y + 26 + 4 * (person % 3)), fill=colour(0.618 * person + 0.7))
    return image


def draw_people(folder: Path, counts: list[int]) -> Path:
    """A folder of drawn people, person `i` with `counts[i]` pictures; returns the folder."""
    for person, count in enumerate(counts):
        home = folder / f"Person_{person:02}"
        home.mkdir(parents=True)
        for picture in range(count):
            draw_person(person, picture).save(home / f"{picture:04}.jpg", quality=95)
    return folder
