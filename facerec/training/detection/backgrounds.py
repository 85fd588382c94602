"""Pictures without faces, to paste crops onto and to learn from what is no face."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE
from facerec.training.dataset import FaceDataset
from facerec.training.split import Indices

Pixels = NDArray[np.uint8]
"""uint8 `[H, W, 3]`, RGB."""

ROUND = [
    Image.radial_gradient("L").point([min(255, max(0, steep * (180 - radius))) for radius in range(256)])
    for steep in (2, 5, 30)
]
"""Windows of which the corners are cut, with soft to hard edges; 0 to 255."""


def face_free(
    dataset: FaceDataset, indices: Indices, *, side: int, random: np.random.Generator, pieces: bool = False
) -> Image.Image:
    """A square picture of `side` pixels without a face, made of parts of some of `images` or of nothing at all.

    With `pieces` it may hold what looks most like a face: eyes and mouths, one by one or in the wrong order.
    """

    def crop() -> Pixels:
        return np.asarray(dataset.crops[random.choice(indices)])

    def part() -> Image.Image:
        return PARTS[random.choice(len(PARTS), p=(0.6, 0.2, 0.2) if pieces else (1, 0, 0))](crop(), random)

    def motif() -> Image.Image:
        return _border(crop(), random) if random.random() < 0.6 else _drawn(64, random)

    kinds: list[Callable[[], Image.Image]] = [
        lambda: _blurred(Image.fromarray(crop()), side, random),
        lambda: _enlarged(part(), side, random),
        lambda: _tiled(motif(), side, random),
        lambda: _collage([part() for _ in range(random.integers(4, 30))], side, random),
        lambda: _noise(side, random),
        lambda: _drawn(side, random),
    ]
    picture = kinds[random.choice(len(kinds), p=(0.12, 0.12, 0.16, 0.4, 0.1, 0.1))]()
    return _with_solids(picture, random) if random.random() < 0.35 else picture


def _border(crop: Pixels, random: np.random.Generator) -> Image.Image:
    """A piece of a crop away from its face: an upper corner, or what is below the chin."""
    width, height = random.integers(30, 66, 2)
    left, top = [
        (random.integers(0, 66 - width + 1), random.integers(0, 90 - height)),
        (CROP_SIZE - width - random.integers(0, 66 - width + 1), random.integers(0, 90 - height)),
        (random.integers(0, CROP_SIZE - width), CROP_SIZE - height // 2),
    ][random.integers(3)]
    return Image.fromarray(crop[top : top + height, left : left + width])


def _piece(crop: Pixels, random: np.random.Generator) -> Image.Image:
    """An eye, an ear, a mouth, a cheek: a piece of a face, too little to be one."""
    size = FACE_SIZE * random.uniform(0.15, 0.35, 2)
    left, top = ((CROP_SIZE - size) / 2 + (FACE_SIZE - size) * random.uniform(-0.6, 0.6, 2)).astype(int)
    width, height = size.astype(int)
    return Image.fromarray(crop[top : top + height, left : left + width])


def _jumble(crop: Pixels, random: np.random.Generator) -> Image.Image:
    """A face cut into nine or sixteen squares, none of which stays at its place."""
    count = int(random.integers(3, 5))
    size = int(FACE_SIZE) // count
    start = (CROP_SIZE - count * size) // 2
    starts = range(start, start + count * size, size)
    squares = [crop[top : top + size, left : left + size] for top in starts for left in starts]
    cycle = random.permutation(count**2)
    order = np.empty_like(cycle)
    order[cycle] = np.roll(cycle, 1)
    rows = [np.concatenate([squares[place] for place in row], axis=1) for row in order.reshape(count, count)]
    return Image.fromarray(np.concatenate(rows))


PARTS = (_border, _piece, _jumble)


def _blurred(crop: Image.Image, side: int, random: np.random.Generator) -> Image.Image:
    """A crop of which only the colours are left."""
    few = int(random.integers(3, 10))
    return crop.resize((few, few), Image.Resampling.BOX).resize((side, side), Image.Resampling.BICUBIC)


def _enlarged(part: Image.Image, side: int, random: np.random.Generator) -> Image.Image:
    return part.rotate(90 * int(random.integers(4)), expand=True).resize((side, side), Image.Resampling.BICUBIC)


def _tiled(part: Image.Image, side: int, random: np.random.Generator) -> Image.Image:
    """A texture: a part beside its mirror images, again and again."""
    size = int(random.integers(12, side // 2))
    pixels = np.asarray(part.resize((size, size), Image.Resampling.BILINEAR))
    pair = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    four = np.concatenate([pair, pair[::-1]], axis=0)
    times = side // len(four) + 1
    return Image.fromarray(np.ascontiguousarray(np.tile(four, (times, times, 1))[:side, :side]))


def _collage(parts: list[Image.Image], side: int, random: np.random.Generator) -> Image.Image:
    """Parts of any size and angle, one over the other; square, or round with edges as soft as those of pasted faces."""
    canvas = _blurred(parts[0], side, random)
    for part in parts:
        size = np.exp(random.uniform(np.log(side / 20), np.log(side)) + random.normal(0, 0.3, 2)).astype(int).tolist()
        shaped = part.resize(size, Image.Resampling.BILINEAR).convert("RGBA")
        if random.random() < 0.5:
            shaped.putalpha(ROUND[random.integers(len(ROUND))].resize(size))
        turned = shaped.rotate(random.uniform(-180, 180), Image.Resampling.BILINEAR, expand=True)
        place = random.integers(-side // 3, side, 2).tolist()
        canvas.paste(turned, (place[0], place[1]), turned)
    return canvas


def _noise(side: int, random: np.random.Generator) -> Image.Image:
    """Clouds or grains: noise of few or many points, around a colour."""
    points = int(2 ** random.uniform(1, np.log2(side)))
    noise = random.normal(0, random.uniform(0, 60), (points, points, random.choice([1, 3]))) + random.uniform(0, 255, 3)
    resampling = Image.Resampling.BICUBIC if random.random() < 0.7 else Image.Resampling.NEAREST
    return Image.fromarray(noise.clip(0, 255).astype(np.uint8)).resize((side, side), resampling)


def _drawn(side: int, random: np.random.Generator) -> Image.Image:
    """Discs, boxes, lines and rings in any colour, skin's among them: nothing of that alone is a face."""

    def colour() -> tuple[int, ...]:
        skin = np.array([224, 172, 140]) * random.uniform(0.3, 1.1)
        return tuple((skin if random.random() < 0.3 else random.uniform(0, 256, 3)).clip(0, 255).astype(int).tolist())

    canvas = Image.new("RGB", (side, side), colour())
    draw = ImageDraw.Draw(canvas)
    for _ in range(random.integers(3, 30)):
        left, top = random.uniform(-side / 8, side, 2)
        width, height = random.uniform(2, side / 2, 2)
        box = (left, top, left + width, top + height)
        if (kind := random.integers(4)) == 0:
            draw.ellipse(box, fill=colour())
        elif kind == 1:
            draw.rectangle(box, fill=colour())
        elif kind == 2:
            draw.line(box, fill=colour(), width=int(random.integers(1, 12)))
        else:
            draw.arc(
                box, random.uniform(0, 360), random.uniform(0, 360), fill=colour(), width=int(random.integers(1, 12))
            )
    return canvas


def _with_solids(background: Image.Image, random: np.random.Generator) -> Image.Image:
    """Balls, wheels, knobs and spirals over a background: round or square, with a light side, rings, spokes, gloss."""
    canvas = np.array(background)
    side = len(canvas)
    for _ in range(random.integers(1, 20)):
        x, y = random.integers(0, side, 2)
        width, height = np.exp(random.uniform(np.log(side / 40), np.log(side / 3)) + random.normal(0, 0.2, 2))
        reach = int(max(width, height)) + 1
        top, left = max(0, y - reach), max(0, x - reach)
        part = canvas[top : y + reach, left : x + reach]
        down, across = np.ogrid[top - y : top - y + part.shape[0], left - x : left - x + part.shape[1]]
        angle, direction = random.uniform(0, 2 * math.pi, 2)
        u = (math.cos(angle) * across + math.sin(angle) * down) / width
        v = (math.cos(angle) * down - math.sin(angle) * across) / height
        power = random.choice([2.0, 2.0, 4.0])
        radius = (abs(u) ** power + abs(v) ** power) ** (1 / power)
        lit_u, lit_v = math.cos(direction), math.sin(direction)
        waves = random.uniform(0, 30) * radius + random.integers(-12, 13) * np.arctan2(v, u) + random.uniform(0, 6)
        light = 0.7 + random.uniform(0, 0.5) * (lit_u * u + lit_v * v) + random.uniform(0, 0.5) * np.sin(waves)
        gloss = random.choice([0, 255]) * np.exp(-20 * ((u - 0.4 * lit_u) ** 2 + (v - 0.4 * lit_v) ** 2))
        colour = random.uniform(0, 255) + random.choice([0, 60]) * random.normal(0, 1, 3)
        solid = (light[..., None] * colour + gloss[..., None]).clip(0, 255).astype(np.uint8)
        inside = (radius < 1) & (radius > random.choice([-1, random.uniform(0, 0.9)]))
        part[inside] = solid[inside]
    return Image.fromarray(canvas)
