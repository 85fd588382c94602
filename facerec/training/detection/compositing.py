"""A picture that crops are pasted into, which keeps book of the faces in it."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face
from facerec.training.detection.backgrounds import Pixels

WHOLE, HIDDEN = 0.6, 0.1
"""Share of a face in view from which it is to be found, and under which there is none."""
BLACK = 12
"""The darkest corners of funneled crops are no part of a photo."""


@dataclass(frozen=True)
class SyntheticScene:
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
    """A picture that crops are pasted into, one over the other."""

    picture: Pixels
    faces: list[Face] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.unsure = np.zeros(self.picture.shape[:2], bool)
        self._shown = np.full(self.picture.shape[:2], -1, np.int16)  # whose face each pixel shows

    def paste(self, crop: Pixels, alpha: NDArray[np.float32], face: Face, *, slim: float = 1) -> None:
        """Paste `crop` so that its own face becomes `face`.

        Args:
            crop: uint8 `[F, F, 3]`, of 250 pixels or shrunk.
            alpha: `[F, F]`, 0 to 1: how much of each pixel is pasted.
            face: where, in pixels of the canvas.
            slim: how many times slimmer the face becomes.
        """
        x, y, size, angle, _ = face
        middle = len(crop) / 2
        scale = size / FACE_SIZE * CROP_SIZE / len(crop)
        reach = scale * middle * (abs(math.cos(angle)) + abs(math.sin(angle)))
        height, width = self.picture.shape[:2]
        left, top = max(0, math.floor(x - reach)), max(0, math.floor(y - reach))
        right, bottom = min(width, math.ceil(x + reach)), min(height, math.ceil(y + reach))
        self.faces.append(face)
        if right <= left or bottom <= top:
            return
        rgba = Image.fromarray(np.dstack([crop, (255 * alpha).astype(np.uint8)]))
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

    def finished(self) -> SyntheticScene:
        """The scene, in which faces that are mostly hidden are left unsure."""
        sizes = np.array([face.size for face in self.faces], float)
        pixels = np.bincount(self._shown[self._shown >= 0].ravel(), minlength=len(self.faces))
        visible = pixels / np.maximum(math.pi / 4 * sizes**2, 1)
        for half in np.flatnonzero((visible >= HIDDEN) & (visible < WHOLE)):
            self.unsure |= self._shown == half
        whole = [face for face, fraction in zip(self.faces, visible, strict=True) if fraction >= WHOLE]
        return SyntheticScene(self.picture, whole, self.unsure)


def cut_out(crop: Pixels, random: np.random.Generator) -> NDArray[np.float32]:
    """How much of each pixel of a crop is pasted, `[F, F]`: a window around the face, square or round, soft or not.

    The black corners that funneling left are no part of it.
    """
    offsets = (np.arange(len(crop)) + 0.5) * CROP_SIZE / len(crop) - CROP_SIZE / 2
    left, right, top, bottom = random.uniform(0.62, 1.1, 4) * FACE_SIZE
    across = np.where(offsets < 0, -offsets / left, offsets / right)
    down = np.where(offsets < 0, -offsets / (1.1 * top), offsets / bottom)[:, None]
    power = random.choice([2.0, 3.0, 8.0, 40.0])
    edge = (across**power + down**power) ** (1 / power)
    window = ((1 - edge) / random.choice([0.02, 0.1, 0.3]) + 0.5).clip(0, 1)
    dark = crop.max(axis=2) < BLACK
    outside = np.zeros_like(dark)
    for axis in (0, 1):
        for step in (1, -1):
            along = (slice(None),) * axis + (slice(None, None, step),)
            outside[along] |= np.logical_and.accumulate(dark[along], axis=axis)
    return np.where(outside, 0, window).astype(np.float32)
