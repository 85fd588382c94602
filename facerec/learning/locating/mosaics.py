"""Pictures of known composition: frames pasted at any place, size and angle, so that every face's place is known."""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.framing import FACE_SIZE, FRAME_SIZE, Face
from facerec.learning.dataset import FaceImages
from facerec.learning.locating.backgrounds import Pixels, face_free
from facerec.learning.roles import Indices

MIN_SIZE = 12
"""Smallest pasted face in pixels."""
WHOLE, HIDDEN = 0.6, 0.1
"""Share of a face in view from which it is to be found, and under which there is none."""
BLACK = 12
"""The darkest corners of funneled frames are no part of a photo."""


@dataclass(frozen=True)
class Mosaic:
    """A picture and what is known of it.

    Attributes:
        picture: uint8 `[S, S, 3]`, RGB.
        faces: where faces are to be found.
        unsure: bool `[S, S]`, where there may be faces that nobody labelled.
    """

    picture: Pixels
    faces: list[Face]
    unsure: NDArray[np.bool_]


@dataclass
class Canvas:
    """A picture that frames are pasted into, one over the other."""

    picture: Pixels
    faces: list[Face] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.unsure = np.zeros(self.picture.shape[:2], bool)
        self._shown = np.full(self.picture.shape[:2], -1, np.int16)  # whose face each pixel shows

    def paste(self, frame: Pixels, alpha: NDArray[np.float32], face: Face, *, slim: float = 1) -> None:
        """Paste `frame` so that its own face becomes `face`.

        Args:
            frame: uint8 `[F, F, 3]`, of 250 pixels or shrunk.
            alpha: `[F, F]`, 0 to 1: how much of each pixel is pasted.
            face: where, in pixels of the canvas.
            slim: how many times slimmer the face becomes.
        """
        x, y, size, angle, _ = face
        middle = len(frame) / 2
        scale = size / FACE_SIZE * FRAME_SIZE / len(frame)
        reach = scale * middle * (abs(math.cos(angle)) + abs(math.sin(angle)))
        height, width = self.picture.shape[:2]
        left, top = max(0, math.floor(x - reach)), max(0, math.floor(y - reach))
        right, bottom = min(width, math.ceil(x + reach)), min(height, math.ceil(y + reach))
        self.faces.append(face)
        if right <= left or bottom <= top:
            return
        rgba = Image.fromarray(np.dstack([frame, (255 * alpha).astype(np.uint8)]))
        area = (right - left, bottom - top)
        cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
        coefficients = (
            *(slim * cos, slim * sin, middle - slim * (cos * (x - left) + sin * (y - top))),
            *(-sin, cos, middle + sin * (x - left) - cos * (y - top)),
        )
        pasted = np.asarray(rgba.transform(area, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))
        place = np.s_[top:bottom, left:right]
        weight = pasted[..., 3:].astype(np.uint16)
        self.picture[place] = (pasted[..., :3] * weight + self.picture[place] * (255 - weight)) // 255
        covered = pasted[..., 3] > 127
        across, down = np.arange(left, right) + 0.5 - x, np.arange(top, bottom)[:, None] + 0.5 - y
        distance = np.hypot(across, down) / size
        self.unsure[place][covered] = (distance > 0.75)[covered]
        self._shown[place][covered] = np.where(distance < 0.5, len(self.faces) - 1, -1)[covered]

    def finished(self) -> Mosaic:
        """The mosaic, in which faces that are mostly hidden are left unsure."""
        sizes = np.array([face.size for face in self.faces], float)
        pixels = np.bincount(self._shown[self._shown >= 0].ravel(), minlength=len(self.faces))
        shares = pixels / np.maximum(math.pi / 4 * sizes**2, 1)
        for half in np.flatnonzero((shares >= HIDDEN) & (shares < WHOLE)):
            self.unsure |= self._shown == half
        whole = [face for face, share in zip(self.faces, shares, strict=True) if share >= WHOLE]
        return Mosaic(self.picture, whole, self.unsure)


def compose(faces: FaceImages, images: Indices, *, side: int, random: np.random.Generator) -> Mosaic:
    """A random mosaic of frames from `images`: one that fills the picture, some that are strewn, or a crowd in rows."""
    canvas = Canvas(np.array(face_free(faces, images, side=side, random=random)))
    if (layout := random.random()) < 0.3:
        _fill(canvas, faces.frames[random.choice(images)], random)
    else:
        for face in _strewn(side, random) if layout < 0.7 else _crowd(side, random):
            image = Image.fromarray(faces.frames[random.choice(images)])
            frame = np.asarray(image.reduce(max(1, int(FACE_SIZE / face.size))))
            frame = frame[:, ::-1] if random.random() < 0.5 else frame
            slim = math.exp(random.normal(0, 0.06))
            canvas.paste(_relit(frame, random), cut_out(frame, random), face, slim=slim)
    mosaic = canvas.finished()
    return Mosaic(_photographed(mosaic.picture, random), mosaic.faces, mosaic.unsure)


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


def _fill(canvas: Canvas, frame: Pixels, random: np.random.Generator) -> None:
    """Paste a frame so large that nothing else is in the picture."""
    side = len(canvas.picture)
    size = side * FACE_SIZE / FRAME_SIZE * math.exp(random.uniform(0, 0.7))
    slack = max(0.0, size * FRAME_SIZE / FACE_SIZE - side) / 2
    x, y = side / 2 + random.uniform(-slack, slack, 2)
    frame = frame[:, ::-1] if random.random() < 0.5 else frame
    canvas.paste(frame, np.ones(frame.shape[:2], np.float32), Face(x, y, size, random.normal(0, 0.12), 1))


def cut_out(frame: Pixels, random: np.random.Generator) -> NDArray[np.float32]:
    """How much of each pixel of a frame is pasted, `[F, F]`: a window around the face, square or round, soft or not.

    The black corners that funneling left are no part of it.
    """
    offsets = (np.arange(len(frame)) + 0.5) * FRAME_SIZE / len(frame) - FRAME_SIZE / 2
    left, right, top, bottom = random.uniform(0.62, 1.1, 4) * FACE_SIZE
    across = np.where(offsets < 0, -offsets / left, offsets / right)
    down = np.where(offsets < 0, -offsets / (1.1 * top), offsets / bottom)[:, None]
    power = random.choice([2.0, 3.0, 8.0, 40.0])
    edge = (across**power + down**power) ** (1 / power)
    window = ((1 - edge) / random.choice([0.02, 0.1, 0.3]) + 0.5).clip(0, 1)
    dark = frame.max(axis=2) < BLACK
    outside = np.zeros_like(dark)
    for axis in (0, 1):
        for step in (1, -1):
            along = (slice(None),) * axis + (slice(None, None, step),)
            outside[along] |= np.logical_and.accumulate(dark[along], axis=axis)
    return np.where(outside, 0, window).astype(np.float32)


def _relit(frame: Pixels, random: np.random.Generator) -> Pixels:
    """A frame in other light: each face of a mosaic has its own."""
    values = np.arange(256) / 255
    curves = values[:, None] ** math.exp(random.normal(0, 0.25)) * np.exp(random.normal(0, 0.08, 3))
    return _through(frame, (255 * curves).clip(0, 255).astype(np.uint8))


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


def scene(faces: FaceImages, image: int, beside: Indices, *, random: np.random.Generator) -> tuple[Image.Image, Face]:
    """A large picture with the frame `image` at a random place, 0.5 to 3 times as large and turned by up to 20 degrees.

    A frame of `beside` stands next to it, over a background made of others of `beside`.

    Returns:
        The picture, and where the face of `image` is.
    """
    size = FACE_SIZE * _between(0.5, 3, random)
    side = round(size / FACE_SIZE * FRAME_SIZE * random.uniform(1.6, 2.6))
    background = face_free(faces, beside, side=320, random=random).resize((side, side), Image.Resampling.BICUBIC)
    canvas = Canvas(np.array(background))
    x, y = random.uniform(0.9 * size, side - 0.9 * size, 2)
    neighbour = x + size * random.uniform(1.3, 2.0) * (1 if x < side / 2 else -1)
    for picture, place in ((int(random.choice(beside)), neighbour), (image, x)):
        frame = np.asarray(faces.frames[picture])
        face = Face(place, y, size, math.radians(random.uniform(-20, 20)), 1)
        canvas.paste(frame, cut_out(frame, random), face)
    return Image.fromarray(canvas.picture), face
