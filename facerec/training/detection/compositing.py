"""Compositing of synthetic scenes: face crops pasted over one another, with a record of which faces stay visible."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face
from facerec.training.detection.backgrounds import Pixels

LABEL_MIN_VISIBLE_FRACTION = 0.6
"""Smallest visible fraction, 0 to 1, of a labelled face."""

IGNORE_MIN_VISIBLE_FRACTION = 0.1
"""Smallest visible fraction, 0 to 1, of a face whose pixels are ignored. Faces of which less is visible count as
background."""

PADDING_VALUE_LIMIT = 12
"""Value, 0 to 255, that all three channels of a padding pixel are below. Funneling, the method that aligned LFW's
crops, fills the corners that the photo doesn't cover with black."""


@dataclass(frozen=True)
class SyntheticScene:
    """A composed picture and its labels.

    Attributes:
        picture: uint8 `[S, S, 3]`, RGB.
        faces: the labelled faces, in pixels of the picture.
        ignore_mask: bool `[S, S]`, true where the picture may show unlabelled faces. A detection there is neither right
            nor wrong.
    """

    picture: Pixels
    faces: list[Face]
    ignore_mask: NDArray[np.bool_]


@dataclass
class Canvas:
    """A picture that crops are pasted into, one over the other.

    Attributes:
        picture: uint8 `[H, W, 3]`, RGB, changed in place.
        faces: all pasted faces in the order of pasting, hidden ones included.
        ignore_mask: bool `[H, W]`, true where a pasted crop may show unlabelled faces.
    """

    picture: Pixels
    faces: list[Face] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ignore_mask = np.zeros(self.picture.shape[:2], bool)
        self._visible_face = np.full(self.picture.shape[:2], -1, np.int16)  # index into faces, -1 for none

    def paste(self, crop: Pixels, alpha: NDArray[np.float32], face: Face, *, narrowing: float = 1) -> None:
        """Paste a crop so that the face in its middle takes the position, size and angle of `face`.

        Args:
            crop: uint8 `[F, F, 3]`, RGB, at 250 pixels or reduced.
            alpha: float32 `[F, F]`, opacity of each pixel, 0 to 1.
            face: the target, in pixels of the canvas. It may lie partly or wholly outside of the canvas.
            narrowing: factor that the crop's width is divided by, before the crop is turned.
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
            *(narrowing * cos, narrowing * sin, middle - narrowing * (cos * (x - left) + sin * (y - top))),
            *(-sin, cos, middle + sin * (x - left) - cos * (y - top)),
        )
        pasted = np.asarray(rgba.transform(area, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))
        region = np.s_[top:bottom, left:right]
        weight = pasted[..., 3:].astype(np.uint16)
        self.picture[region] = (pasted[..., :3] * weight + self.picture[region] * (255 - weight)) // 255
        covered = pasted[..., 3] > 127
        across, down = np.arange(left, right) + 0.5 - x, np.arange(top, bottom)[:, None] + 0.5 - y
        distance = np.hypot(across, down) / size
        # The outer part of a crop may show other people, whom nobody labelled.
        self.ignore_mask[region][covered] = (distance > 0.75)[covered]
        self._visible_face[region][covered] = np.where(distance < 0.5, len(self.faces) - 1, -1)[covered]

    def to_scene(self) -> SyntheticScene:
        """Return the scene, with each face labelled, ignored or left out by its visible fraction.

        The visible fraction is that of the disc inscribed in the face's square. It is at least
        `LABEL_MIN_VISIBLE_FRACTION` for labelled faces, and at least `IGNORE_MIN_VISIBLE_FRACTION` for ignored ones.
        """
        sizes = np.array([face.size for face in self.faces], float)
        pixels = np.bincount(self._visible_face[self._visible_face >= 0].ravel(), minlength=len(self.faces))
        visible = pixels / np.maximum(math.pi / 4 * sizes**2, 1)
        ignored = (visible >= IGNORE_MIN_VISIBLE_FRACTION) & (visible < LABEL_MIN_VISIBLE_FRACTION)
        for index in np.flatnonzero(ignored):
            self.ignore_mask |= self._visible_face == index
        labelled = [
            face for face, fraction in zip(self.faces, visible, strict=True) if fraction >= LABEL_MIN_VISIBLE_FRACTION
        ]
        return SyntheticScene(self.picture, labelled, self.ignore_mask)


def random_alpha_mask(crop: Pixels, random: np.random.Generator) -> NDArray[np.float32]:
    """Choose a random window around the face, from an ellipse to a rectangle, with a soft or hard edge.

    Args:
        crop: uint8 `[F, F, 3]`, RGB, at 250 pixels or reduced.
        random: the generator that decides the window.

    Returns:
        Opacity of each pixel, float32 `[F, F]`, 0 to 1. It is 0 on the black padding that funneling left.
    """
    offsets = (np.arange(len(crop)) + 0.5) * CROP_SIZE / len(crop) - CROP_SIZE / 2
    left, right, top, bottom = random.uniform(0.62, 1.1, 4) * FACE_SIZE
    across = np.where(offsets < 0, -offsets / left, offsets / right)
    down = np.where(offsets < 0, -offsets / (1.1 * top), offsets / bottom)[:, None]
    power = random.choice([2.0, 3.0, 8.0, 40.0])  # from an ellipse to nearly a rectangle
    edge = (across**power + down**power) ** (1 / power)
    window = ((1 - edge) / random.choice([0.02, 0.1, 0.3]) + 0.5).clip(0, 1)
    red, green, blue = np.moveaxis(crop, 2, 0)
    dark = np.maximum(np.maximum(red, green), blue) < PADDING_VALUE_LIMIT
    padding = np.zeros_like(dark)
    # Padding is what is dark without interruption from an edge of the crop inwards.
    for axis in (0, 1):
        for step in (1, -1):
            inwards = (slice(None),) * axis + (slice(None, None, step),)
            padding[inwards] |= np.logical_and.accumulate(dark[inwards], axis=axis)
    return np.where(padding, 0, window).astype(np.float32)
