"""Pictures without faces: backgrounds for synthetic scenes, and negative examples for the detector."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE
from facerec.training.dataset import FaceDataset
from facerec.training.split import Indices

Pixels = NDArray[np.uint8]
"""RGB pixels, uint8 `[H, W, 3]`, 0 to 255."""

DISC_MASKS = [
    Image.radial_gradient("L").point([min(255, max(0, steepness * (180 - radius))) for radius in range(256)])
    for steepness in (2, 5, 30)
]
"""Alpha masks of a disc that touches the sides of the mask, with a soft, a medium and a hard edge: images of mode L,
256 x 256 pixels, 0 (transparent) to 255 (opaque)."""


def face_free_background(
    dataset: FaceDataset, indices: Indices, *, side: int, random: np.random.Generator, face_parts: bool = False
) -> Image.Image:
    """Compose a random square picture that contains no face.

    The picture is a blurred crop, an enlarged patch of a crop, a tiled texture, a collage of patches, noise or a
    drawing. About a third of the pictures have shaded shapes on top.

    Args:
        dataset: the crops that patches are cut from.
        indices: the crops that may be used.
        side: width and height of the picture in pixels, 64 or more.
        random: the generator that decides everything.
        face_parts: whether patches may also be single parts of a face, or a face cut into shuffled tiles. These are
            the hardest negative examples. If false, all patches are cut from outside the face.

    Returns:
        The picture, of mode RGB and `side` x `side` pixels.
    """

    def crop() -> Pixels:
        return np.asarray(dataset.crops[random.choice(indices)])

    def patch() -> Image.Image:
        cut = PATCH_CUTTERS[random.choice(len(PATCH_CUTTERS), p=(0.6, 0.2, 0.2) if face_parts else (1, 0, 0))]
        return cut(crop(), random)

    def tile() -> Image.Image:
        return _cut_outside_face(crop(), random) if random.random() < 0.6 else _draw_shapes(64, random)

    kinds: list[Callable[[], Image.Image]] = [
        lambda: _blur(Image.fromarray(crop()), side, random),
        lambda: _enlarge(patch(), side, random),
        lambda: _tile_mirrored(tile(), side, random),
        lambda: _collage([patch() for _ in range(random.integers(4, 30))], side, random),
        lambda: _noise(side, random),
        lambda: _draw_shapes(side, random),
    ]
    picture = kinds[random.choice(len(kinds), p=(0.12, 0.12, 0.16, 0.4, 0.1, 0.1))]()
    return _add_shaded_shapes(picture, random) if random.random() < 0.35 else picture


def _cut_outside_face(crop: Pixels, random: np.random.Generator) -> Image.Image:
    """Cut a patch from outside the face: from an upper corner of the crop, or from its lower edge below the chin."""
    width, height = random.integers(30, 66, 2)
    left, top = [
        (random.integers(0, 66 - width + 1), random.integers(0, 90 - height)),
        (CROP_SIZE - width - random.integers(0, 66 - width + 1), random.integers(0, 90 - height)),
        (random.integers(0, CROP_SIZE - width), CROP_SIZE - height // 2),
    ][random.integers(3)]
    return Image.fromarray(crop[top : top + height, left : left + width])


def _cut_face_part(crop: Pixels, random: np.random.Generator) -> Image.Image:
    """Cut a part of the face, such as an eye or the mouth: 15 to 35 % of the face's width and height."""
    size = FACE_SIZE * random.uniform(0.15, 0.35, 2)
    left, top = ((CROP_SIZE - size) / 2 + (FACE_SIZE - size) * random.uniform(-0.6, 0.6, 2)).astype(int)
    width, height = size.astype(int)
    return Image.fromarray(crop[top : top + height, left : left + width])


def _shuffle_face(crop: Pixels, random: np.random.Generator) -> Image.Image:
    """Cut the face into 3 x 3 or 4 x 4 tiles and shuffle them so that no tile stays at its position."""
    count = int(random.integers(3, 5))
    size = int(FACE_SIZE) // count
    start = (CROP_SIZE - count * size) // 2
    starts = range(start, start + count * size, size)
    tiles = [crop[top : top + size, left : left + size] for top in starts for left in starts]
    cycle = random.permutation(count**2)
    order = np.empty_like(cycle)
    order[cycle] = np.roll(cycle, 1)  # one cycle through all positions has no fixed point
    rows = [np.concatenate([tiles[index] for index in row], axis=1) for row in order.reshape(count, count)]
    return Image.fromarray(np.concatenate(rows))


PATCH_CUTTERS = (_cut_outside_face, _cut_face_part, _shuffle_face)
"""Functions that make a patch from a crop, uint8 `[250, 250, 3]`."""


def _blur(crop: Image.Image, side: int, random: np.random.Generator) -> Image.Image:
    """Blur a crop until only its colours are left, and resize it to `side` x `side` pixels."""
    grid_side = int(random.integers(3, 10))
    return crop.resize((grid_side, grid_side), Image.Resampling.BOX).resize((side, side), Image.Resampling.BICUBIC)


def _enlarge(patch: Image.Image, side: int, random: np.random.Generator) -> Image.Image:
    """Rotate a patch by a random multiple of 90 degrees and resize it to `side` x `side` pixels."""
    return patch.rotate(90 * int(random.integers(4)), expand=True).resize((side, side), Image.Resampling.BICUBIC)


def _tile_mirrored(tile: Image.Image, side: int, random: np.random.Generator) -> Image.Image:
    """Repeat a tile and its mirror images as a seamless texture of `side` x `side` pixels."""
    size = int(random.integers(12, side // 2))
    pixels = np.asarray(tile.resize((size, size), Image.Resampling.BILINEAR))
    pair = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    block = np.concatenate([pair, pair[::-1]], axis=0)
    repeats = side // len(block) + 1
    return Image.fromarray(np.ascontiguousarray(np.tile(block, (repeats, repeats, 1))[:side, :side]))


def _collage(patches: list[Image.Image], side: int, random: np.random.Generator) -> Image.Image:
    """Paste patches over one another, each at random size, angle and position.

    Half of the patches are cut to discs with edges like those of pasted faces, so that such an edge doesn't reveal a
    face.
    """
    canvas = _blur(patches[0], side, random)
    for patch in patches:
        size = np.exp(random.uniform(np.log(side / 20), np.log(side)) + random.normal(0, 0.3, 2)).astype(int).tolist()
        resized = patch.resize(size, Image.Resampling.BILINEAR).convert("RGBA")
        if random.random() < 0.5:
            resized.putalpha(DISC_MASKS[random.integers(len(DISC_MASKS))].resize(size))
        rotated = resized.rotate(random.uniform(-180, 180), Image.Resampling.BILINEAR, expand=True)
        corner = random.integers(-side // 3, side, 2).tolist()
        canvas.paste(rotated, (corner[0], corner[1]), rotated)
    return canvas


def _noise(side: int, random: np.random.Generator) -> Image.Image:
    """Fill a picture with noise around a random colour, from coarse clouds to single pixels."""
    grid_side = int(2 ** random.uniform(1, np.log2(side)))
    noise = random.normal(0, random.uniform(0, 60), (grid_side, grid_side, random.choice([1, 3])))
    pixels = noise + random.uniform(0, 255, 3)
    resampling = Image.Resampling.BICUBIC if random.random() < 0.7 else Image.Resampling.NEAREST
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).resize((side, side), resampling)


def _draw_shapes(side: int, random: np.random.Generator) -> Image.Image:
    """Draw 3 to 29 ellipses, rectangles, lines and arcs in random colours.

    About a third of the colours are skin tones, so that the detector doesn't take skin colour alone for a face.
    """

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


def _add_shaded_shapes(background: Image.Image, random: np.random.Generator) -> Image.Image:
    """Add 1 to 19 shaded shapes to a background: balls, wheels, knobs and spirals.

    Each is an ellipse or a rounded rectangle, whole or a ring, with light from one side, waves along radius and angle,
    and sometimes a highlight.
    """
    canvas = np.array(background)
    side = len(canvas)
    for _ in range(random.integers(1, 20)):
        x, y = random.integers(0, side, 2)
        width, height = np.exp(random.uniform(np.log(side / 40), np.log(side / 3)) + random.normal(0, 0.2, 2))
        reach = int(max(width, height)) + 1
        top, left = max(0, y - reach), max(0, x - reach)
        region = canvas[top : y + reach, left : x + reach]
        down, across = np.ogrid[top - y : top - y + region.shape[0], left - x : left - x + region.shape[1]]
        angle, direction = random.uniform(0, 2 * math.pi, 2)
        u = (math.cos(angle) * across + math.sin(angle) * down) / width
        v = (math.cos(angle) * down - math.sin(angle) * across) / height
        power = random.choice([2.0, 2.0, 4.0])  # 2 gives an ellipse, 4 a rounded rectangle
        radius = (abs(u) ** power + abs(v) ** power) ** (1 / power)
        light_u, light_v = math.cos(direction), math.sin(direction)
        waves = random.uniform(0, 30) * radius + random.integers(-12, 13) * np.arctan2(v, u) + random.uniform(0, 6)
        light = 0.7 + random.uniform(0, 0.5) * (light_u * u + light_v * v) + random.uniform(0, 0.5) * np.sin(waves)
        highlight = random.choice([0, 255]) * np.exp(-20 * ((u - 0.4 * light_u) ** 2 + (v - 0.4 * light_v) ** 2))
        colour = random.uniform(0, 255) + random.choice([0, 60]) * random.normal(0, 1, 3)
        shape = (light[..., None] * colour + highlight[..., None]).clip(0, 255).astype(np.uint8)
        inside = (radius < 1) & (radius > random.choice([-1, random.uniform(0, 0.9)]))
        region[inside] = shape[inside]
    return Image.fromarray(canvas)
