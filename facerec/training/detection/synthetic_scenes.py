"""Synthetic scenes: crops pasted at random position, size, angle and light, so that each face's position is known.

A similar method is described in "Cut, Paste and Learn" (arXiv:1708.01642).
"""

import io
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face
from facerec.training.dataset import FaceDataset
from facerec.training.detection.backgrounds import Pixels, face_free_background
from facerec.training.detection.compositing import Canvas, SyntheticScene, random_alpha_mask
from facerec.training.split import Indices

PASTED_FACE_MIN_PIXELS = 12
"""Smallest side of a pasted face's square, in pixels of the scene."""


def compose_scene(
    dataset: FaceDataset, indices: Indices, *, side: int, random: np.random.Generator, face_parts: bool = False
) -> SyntheticScene:
    """Compose a random synthetic scene: a close-up of one face, up to eight scattered faces, or a crowd in rows.

    Args:
        dataset: the crops.
        indices: the crops that may be used, for faces and background alike.
        side: width and height of the scene in pixels, 64 or more.
        random: the generator that decides everything.
        face_parts: whether the background may hold parts of faces, as in `face_free_background`.
    """
    background = face_free_background(dataset, indices, side=side, random=random, face_parts=face_parts)
    canvas = Canvas(np.array(background))
    if (layout := random.random()) < 0.3:
        _paste_close_up(canvas, dataset.crops[random.choice(indices)], random)
    else:
        for face in _scattered_faces(side, random) if layout < 0.7 else _crowd_in_rows(side, random):
            _paste_augmented(canvas, dataset.crops[random.choice(indices)], face, random)
    scene = canvas.to_scene()
    return SyntheticScene(_simulate_camera(scene.picture, random), scene.faces, scene.ignore_mask)


def _scattered_faces(side: int, random: np.random.Generator) -> Iterator[Face]:
    """Place up to eight faces of independent size anywhere in a scene of `side` x `side` pixels."""
    for _ in range(random.integers(0, 9)):
        x, y = random.uniform(0, side, 2)
        size = _log_uniform(PASTED_FACE_MIN_PIXELS, 0.6 * side, random)
        yield Face(x, y, size, random.normal(0, 0.3), 1)


def _crowd_in_rows(side: int, random: np.random.Generator) -> Iterator[Face]:
    """Place faces of similar size in rows, the upper rows first, so that the lower rows are in front."""
    size = _log_uniform(1.5 * PASTED_FACE_MIN_PIXELS, 0.3 * side, random)
    column_distance, row_distance = size * random.uniform(1.2, 2.4), size * random.uniform(1.0, 2.2)
    for row in np.arange(random.uniform(0, side / 2), side + size, row_distance):
        for column in np.arange(random.uniform(-column_distance, column_distance), side + size, column_distance):
            if random.random() < 0.85:
                x, y = random.normal((column, row), 0.15 * size)
                yield Face(x, y, size * math.exp(random.normal(0, 0.12)), random.normal(0, 0.2), 1)


def _log_uniform(low: float, high: float, random: np.random.Generator) -> float:
    """Draw a number from `low` to `high` whose logarithm is uniformly distributed."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def _paste_close_up(canvas: Canvas, crop: Pixels, random: np.random.Generator) -> None:
    """Paste a crop, opaque and at least as large as the canvas, so that its face fills the scene."""
    side = len(canvas.picture)
    size = side * FACE_SIZE / CROP_SIZE * math.exp(random.uniform(0, 0.7))
    slack = max(0.0, size * CROP_SIZE / FACE_SIZE - side) / 2
    x, y = side / 2 + random.uniform(-slack, slack, 2)
    crop = crop[:, ::-1] if random.random() < 0.5 else crop
    canvas.paste(crop, np.ones(crop.shape[:2], np.float32), Face(x, y, size, random.normal(0, 0.12), 1))


def _paste_augmented(canvas: Canvas, crop: Pixels, face: Face, random: np.random.Generator) -> None:
    """Paste a crop at `face` with random mirroring, width, colours and outline."""
    crop = np.asarray(Image.fromarray(crop).reduce(max(1, int(FACE_SIZE / face.size))))
    crop = crop[:, ::-1] if random.random() < 0.5 else crop
    narrowing = math.exp(random.normal(0, 0.06))
    canvas.paste(_jitter_colours(crop, random), random_alpha_mask(crop, random), face, narrowing=narrowing)


def _jitter_colours(crop: Pixels, random: np.random.Generator) -> Pixels:
    """Change gamma and white balance of a crop at random, so that the faces of a scene differ in light."""
    values = np.arange(256) / 255
    curves = values[:, None] ** math.exp(random.normal(0, 0.25)) * np.exp(random.normal(0, 0.08, 3))
    return _apply_tone_curves(crop, (255 * curves).clip(0, 255).astype(np.uint8))


def _apply_tone_curves(picture: Pixels, curves: NDArray[np.uint8]) -> Pixels:
    """Map the values of each channel by its tone curve: column c of `curves`, uint8 `[256, 3]`, is for channel c."""
    return np.stack([curves[:, channel][picture[..., channel]] for channel in range(3)], axis=2)


def _simulate_camera(picture: Pixels, random: np.random.Generator) -> Pixels:
    """Degrade a picture as cameras do: tones and white balance always; grey, blur, noise and JPEG at random."""
    values = np.arange(256) / 255
    contrast, brightness = math.exp(random.normal(0, 0.2)), random.normal(0, 0.08)
    curves = values[:, None] ** math.exp(random.normal(0, 0.2)) * np.exp(random.normal(0, 0.06, 3))
    curves = (255 * ((curves - 0.5) * contrast + 0.5 + brightness)).clip(0, 255)
    image = Image.fromarray(_apply_tone_curves(picture, curves.astype(np.uint8)))
    if random.random() < 0.15:
        image = image.convert("L").convert("RGB")
    if random.random() < 0.3:
        reduced = round(len(picture) * random.uniform(0.35, 0.8))
        image = image.resize((reduced, reduced), Image.Resampling.BILINEAR).resize(
            image.size, Image.Resampling.BILINEAR
        )
    if random.random() < 0.3:
        noise = random.normal(0, random.uniform(1, 10), picture.shape).astype(np.float32)
        image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    if random.random() < 0.7:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(random.integers(30, 96)))
        image = Image.open(file, formats=("JPEG",))
    return np.asarray(image)


def single_face_scene(
    dataset: FaceDataset, indices: Indices, *, size: float, degrees: float, random: np.random.Generator
) -> tuple[Image.Image, Face]:
    """Compose a picture of 320 x 320 pixels with one face in its middle.

    Args:
        dataset: the crops.
        indices: the crops that may be used, for the face and the background alike.
        size: side of the face's square in pixels.
        degrees: angle of the face, clockwise.
        random: the generator that decides everything else.

    Returns:
        The picture and its face.
    """
    side = 320
    canvas = Canvas(np.array(face_free_background(dataset, indices, side=side, random=random)))
    face = Face(side / 2, side / 2, size, math.radians(degrees), 1)
    _paste_augmented(canvas, dataset.crops[random.choice(indices)], face, random)
    return Image.fromarray(canvas.picture), face
