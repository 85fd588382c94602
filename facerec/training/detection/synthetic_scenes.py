"""Synthetic scenes: crops at random place, size, angle and light, so that every face's place is known."""

import io
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face
from facerec.training.dataset import FaceDataset
from facerec.training.detection.backgrounds import Pixels, face_free
from facerec.training.detection.compositing import Canvas, SyntheticScene, cut_out
from facerec.training.split import Indices

MIN_SIZE = 12
"""Smallest pasted face in pixels."""


def compose_scene(
    dataset: FaceDataset, indices: Indices, *, side: int, random: np.random.Generator, pieces: bool = False
) -> SyntheticScene:
    """A random synthetic scene of crops at `indices`: one that fills the picture, some that are strewn, or a crowd.

    With `pieces` there may be pieces of faces in the background.
    """
    canvas = Canvas(np.array(face_free(dataset, indices, side=side, random=random, pieces=pieces)))
    if (layout := random.random()) < 0.3:
        _fill(canvas, dataset.crops[random.choice(indices)], random)
    else:
        for face in _strewn(side, random) if layout < 0.7 else _crowd(side, random):
            _paste(canvas, dataset.crops[random.choice(indices)], face, random)
    scene = canvas.finished()
    return SyntheticScene(_photographed(scene.picture, random), scene.faces, scene.unsure)


def _strewn(side: int, random: np.random.Generator) -> Iterator[Face]:
    """Up to eight faces of any size, anywhere."""
    for _ in range(random.integers(0, 9)):
        x, y = random.uniform(0, side, 2)
        yield Face(x, y, _between(MIN_SIZE, 0.6 * side, random), random.normal(0, 0.3), 1)


def _crowd(side: int, random: np.random.Generator) -> Iterator[Face]:
    """Faces of similar size in rows, the upper rows behind the lower ones."""
    size = _between(1.5 * MIN_SIZE, 0.3 * side, random)
    distance, rise = size * random.uniform(1.2, 2.4), size * random.uniform(1.0, 2.2)
    for row in np.arange(random.uniform(0, side / 2), side + size, rise):
        for column in np.arange(random.uniform(-distance, distance), side + size, distance):
            if random.random() < 0.85:
                x, y = random.normal((column, row), 0.15 * size)
                yield Face(x, y, size * math.exp(random.normal(0, 0.12)), random.normal(0, 0.2), 1)


def _between(low: float, high: float, random: np.random.Generator) -> float:
    """A number between two others, uniform in logarithm."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def _fill(canvas: Canvas, crop: Pixels, random: np.random.Generator) -> None:
    """Paste a crop so large that nothing else is in the picture."""
    side = len(canvas.picture)
    size = side * FACE_SIZE / CROP_SIZE * math.exp(random.uniform(0, 0.7))
    slack = max(0.0, size * CROP_SIZE / FACE_SIZE - side) / 2
    x, y = side / 2 + random.uniform(-slack, slack, 2)
    crop = crop[:, ::-1] if random.random() < 0.5 else crop
    canvas.paste(crop, np.ones(crop.shape[:2], np.float32), Face(x, y, size, random.normal(0, 0.12), 1))


def _paste(canvas: Canvas, crop: Pixels, face: Face, random: np.random.Generator) -> None:
    """Paste a crop, in light of its own, so that its face becomes `face`."""
    crop = np.asarray(Image.fromarray(crop).reduce(max(1, int(FACE_SIZE / face.size))))
    crop = crop[:, ::-1] if random.random() < 0.5 else crop
    slim = math.exp(random.normal(0, 0.06))
    canvas.paste(_relit(crop, random), cut_out(crop, random), face, slim=slim)


def _relit(crop: Pixels, random: np.random.Generator) -> Pixels:
    """A crop in other light: each face of a synthetic scene has its own."""
    values = np.arange(256) / 255
    curves = values[:, None] ** math.exp(random.normal(0, 0.25)) * np.exp(random.normal(0, 0.08, 3))
    return _through(crop, (255 * curves).clip(0, 255).astype(np.uint8))


def _through(picture: Pixels, curves: NDArray[np.uint8]) -> Pixels:
    """A picture through one tone curve a channel, `[256, 3]`."""
    return np.stack([curves[:, channel][picture[..., channel]] for channel in range(3)], axis=2)


def _photographed(picture: Pixels, random: np.random.Generator) -> Pixels:
    """The picture as another camera would have it: tones, white balance, grey, blur, noise, JPEG."""
    values = np.arange(256) / 255
    contrast, brightness = math.exp(random.normal(0, 0.2)), random.normal(0, 0.08)
    curves = values[:, None] ** math.exp(random.normal(0, 0.2)) * np.exp(random.normal(0, 0.06, 3))
    picture = _through(picture, (255 * ((curves - 0.5) * contrast + 0.5 + brightness)).clip(0, 255).astype(np.uint8))
    image = Image.fromarray(picture)
    if random.random() < 0.15:
        image = image.convert("L").convert("RGB")
    if random.random() < 0.3:
        few = round(len(picture) * random.uniform(0.35, 0.8))
        image = image.resize((few, few), Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BILINEAR)
    if random.random() < 0.3:
        noise = random.normal(0, random.uniform(1, 10), picture.shape).astype(np.float32)
        image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    if random.random() < 0.7:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(random.integers(30, 96)))
        image = Image.open(file)
    return np.asarray(image)


def single_face_scene(
    dataset: FaceDataset, indices: Indices, *, size: float, degrees: float, random: np.random.Generator
) -> tuple[Image.Image, Face]:
    """A picture of 320 x 320 pixels with one face of `images`, of that size and turned clockwise, in its middle.

    Returns:
        The picture, and where the face is.
    """
    side = 320
    canvas = Canvas(np.array(face_free(dataset, indices, side=side, random=random)))
    face = Face(side / 2, side / 2, size, math.radians(degrees), 1)
    _paste(canvas, dataset.crops[random.choice(indices)], face, random)
    return Image.fromarray(canvas.picture), face


def recognition_scene(
    dataset: FaceDataset, image: int, beside: Indices, *, random: np.random.Generator
) -> tuple[Image.Image, Face]:
    """A large picture with the crop `image` at a random place, 0.5 to 3 times as large and turned by up to 20 degrees.

    A crop of `beside` stands next to it, over a background made of others of `beside`.

    Returns:
        The picture, and where the face of `image` is.
    """
    size = FACE_SIZE * _between(0.5, 3, random)
    side = round(size / FACE_SIZE * CROP_SIZE * random.uniform(1.6, 2.6))
    background = face_free(dataset, beside, side=320, random=random).resize((side, side), Image.Resampling.BICUBIC)
    canvas = Canvas(np.array(background))
    x, y = random.uniform(0.9 * size, side - 0.9 * size, 2)
    neighbour = x + size * random.uniform(1.3, 2.0) * (1 if x < side / 2 else -1)
    for picture, place in ((int(random.choice(beside)), neighbour), (image, x)):
        crop = np.asarray(dataset.crops[picture])
        face = Face(place, y, size, math.radians(random.uniform(-20, 20)), 1)
        canvas.paste(crop, cut_out(crop, random), face)
    return Image.fromarray(canvas.picture), face
