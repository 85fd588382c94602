"""Any picture becomes the 250 x 250 RGB crops that the model expects: its centre, or each of its faces.

Used by training and by the service alike.
"""

import math
from typing import Literal, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from facerec.pictures.colour_modes import mixable, to_rgb

CROP_SIZE = 250
"""Side of the square crop in pixels: the size of Labeled Faces in the Wild's own pictures."""

FACE_SIZE = CROP_SIZE / 2.2
"""Side in pixels of the square that holds a crop's face: LFW's crops are the boxes of a face detector, made 2.2 times
as large (Huang et al., "Labeled Faces in the Wild", 2007)."""

CropMode = Literal["detect", "centre"]
"""Which crops of a picture are looked at: those of the faces detected in it, or the one of its centre."""

Crop = NDArray[np.uint8]
"""uint8 `[250, 250, 3]`, RGB, 0 to 255, upright."""


class Face(NamedTuple):
    """Where a face is: the square that LFW's crops have in their middle."""

    x: float
    """Of the centre, in pixels of the upright picture; pixel i reaches from i to i + 1."""
    y: float
    size: float
    """Side of the square in pixels."""
    angle: float
    """Radians by which the face is turned clockwise in the picture's plane."""
    score: float
    """How sure it is that this is a face, 0 to 1."""

    def scaled(self, factor: float) -> Self:
        """The same face in the picture made `factor` times as large."""
        return self._replace(x=self.x * factor, y=self.y * factor, size=self.size * factor)

    def overlap(self, other: Self) -> float:
        """Intersection over union of the two upright squares, 0 to 1."""
        width, height = (
            min(a + self.size / 2, b + other.size / 2) - max(a - self.size / 2, b - other.size / 2)
            for a, b in ((self.x, other.x), (self.y, other.y))
        )
        common = max(0.0, width) * max(0.0, height)
        return common / (self.size**2 + other.size**2 - common)


def crop_centre(picture: Image.Image) -> Crop:
    """The upright RGB centre square of `picture`, resized so that its shorter side is `CROP_SIZE` pixels.

    Reads the pixels of a lazily opened picture, a large JPEG at reduced scale. Transparency is laid over white.

    Raises:
        OSError, ValueError, SyntaxError: whatever Pillow raises for pixels that can't be decoded.
    """
    picture.draft("RGB", (CROP_SIZE, CROP_SIZE))  # JPEG only: decode at 1/2, 1/4, 1/8 where that suffices
    ImageOps.exif_transpose(picture, in_place=True)
    # Resized first, what follows copies little: a picture of 25 megapixels takes 100 MB, and a copy as much again.
    square = picture
    if picture.size != (CROP_SIZE, CROP_SIZE):
        square = ImageOps.fit(mixable(picture), (CROP_SIZE, CROP_SIZE), Image.Resampling.BICUBIC)
    return cast(Crop, np.asarray(to_rgb(square), dtype=np.uint8))


def crop_face(picture: Image.Image, face: Face) -> Crop:
    """The crop that LFW would have of `face`: upright, in the middle, at LFW's size; black outside of the picture.

    Only the part of the picture that is needed is copied.
    """
    scale = face.size / FACE_SIZE
    cos, sin = math.cos(face.angle), math.sin(face.angle)
    reach = scale * CROP_SIZE / 2 * (abs(cos) + abs(sin)) + 2
    left, top = max(0, math.floor(face.x - reach)), max(0, math.floor(face.y - reach))
    right, bottom = min(picture.width, math.ceil(face.x + reach)), min(picture.height, math.ceil(face.y + reach))
    if left >= right or top >= bottom:
        return np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
    shrink = max(1, int(scale))  # what is left is less than twice as large as the crop: bicubic doesn't alias then
    part = to_rgb(mixable(picture.crop((left, top, right, bottom))).reduce(shrink))
    cos, sin, middle = cos * scale / shrink, sin * scale / shrink, CROP_SIZE / 2
    coefficients = (
        *(cos, -sin, (face.x - left) / shrink - middle * (cos - sin)),
        *(sin, cos, (face.y - top) / shrink - middle * (sin + cos)),
    )
    crop = part.transform((CROP_SIZE, CROP_SIZE), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)
    return cast(Crop, np.asarray(crop, dtype=np.uint8))
