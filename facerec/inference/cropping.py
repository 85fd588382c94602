"""Cut square RGB crops out of pictures, by default 250 x 250 pixels: the centre of a picture, or a face in it.

Training and inference use the same functions, so that a network is trained on what it will later be given.
"""

import math
from typing import Literal, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from facerec.pictures.colour_modes import to_resizable, to_rgb

CROP_SIZE = 250
"""Side of a crop in pixels: the size of the pictures of Labeled Faces in the Wild (LFW)."""

FACE_SIZE = CROP_SIZE / 2.2
"""Side in pixels of the square that a crop's face fills. LFW's pictures are the boxes of a face detector, enlarged 2.2
times (Huang et al., "Labeled Faces in the Wild", 2007)."""

CropMode = Literal["detect", "centre"]
"""What is cut out of a picture: `detect` the faces that the detector finds, `centre` the central square."""

Turn = Literal[0, 90, 180, 270]
"""Degrees by which a picture is turned clockwise, so that the people in it lie on their side or stand upside down."""

Crop = NDArray[np.uint8]
"""uint8 `[S, S, 3]`, RGB, 0 to 255, upright. S is 250 unless a function is told another size."""


class Face(NamedTuple):
    """The place of a face: a square from eyebrows to chin, as in the middle of LFW's pictures."""

    x: float
    """Centre of the square, in pixels of the upright picture. Pixel i covers i to i + 1."""
    y: float
    size: float
    """Side of the square in pixels."""
    angle: float
    """Radians by which the face is turned clockwise in the picture's plane."""
    score: float
    """The detector's confidence that this is a face, 0 to 1."""

    def scaled(self, factor: float) -> Self:
        """The same face in a picture that is `factor` times as large."""
        return self._replace(x=self.x * factor, y=self.y * factor, size=self.size * factor)

    def turned(self, turn: Turn, size: tuple[int, int]) -> Self:
        """The same face in a picture that is turned by `turn`, where this face was found after it was turned back.

        Args:
            turn: how the picture is turned.
            size: width and height of the turned picture.
        """
        width, height = size
        x, y = {
            0: (self.x, self.y),
            90: (width - self.y, self.x),
            180: (width - self.x, height - self.y),
            270: (self.y, height - self.x),
        }[turn]
        return self._replace(x=x, y=y, angle=math.remainder(self.angle + math.radians(turn), 2 * math.pi))

    def iou(self, other: Self) -> float:
        """Intersection over union with another face's square, 0 to 1. Both are taken as upright."""
        width, height = (
            min(a + self.size / 2, b + other.size / 2) - max(a - self.size / 2, b - other.size / 2)
            for a, b in ((self.x, other.x), (self.y, other.y))
        )
        common = max(0.0, width) * max(0.0, height)
        return common / (self.size**2 + other.size**2 - common)

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, width and height of the square in whole pixels, clipped to a picture of `width` and `height`."""
        sides = (-self.size / 2, self.size / 2)
        left, right = (min(max(round(self.x + side), 0), width) for side in sides)
        top, bottom = (min(max(round(self.y + side), 0), height) for side in sides)
        return left, top, right - left, bottom - top


def crop_centre(picture: Image.Image) -> Crop:
    """Cut out the central square of `picture`, resized to 250 x 250 pixels.

    Transparent pixels are laid over white.
    """
    # Resizing comes first, so that the conversions copy few pixels: 25 megapixels take 100 MB, and each copy as much.
    square = picture
    if picture.size != (CROP_SIZE, CROP_SIZE):
        square = ImageOps.fit(to_resizable(picture), (CROP_SIZE, CROP_SIZE), Image.Resampling.BICUBIC)
    return cast(Crop, np.asarray(to_rgb(square), dtype=np.uint8))


def crop_face(picture: Image.Image, face: Face, *, size: int = CROP_SIZE, face_size: float = FACE_SIZE) -> Crop:
    """Cut out `face` upright and in the middle of a crop: by default as LFW shows faces.

    Pixels outside of the picture are black. Only the needed part of the picture is copied.

    Args:
        picture: upright, of any mode.
        face: the face, in pixels of `picture`.
        size: side of the crop in pixels.
        face_size: side in pixels of the face's square in the crop.
    """
    scale = face.size / face_size
    cos, sin = math.cos(face.angle), math.sin(face.angle)
    reach = scale * size / 2 * (abs(cos) + abs(sin)) + 2
    left, top = max(0, math.floor(face.x - reach)), max(0, math.floor(face.y - reach))
    right, bottom = min(picture.width, math.ceil(face.x + reach)), min(picture.height, math.ceil(face.y + reach))
    if left >= right or top >= bottom:
        return np.zeros((size, size, 3), np.uint8)
    shrink = max(
        1, int(scale)
    )  # leaves less than twice the crop's size, which bicubic resampling takes without aliasing
    part = to_rgb(to_resizable(picture.crop((left, top, right, bottom))).reduce(shrink))
    cos, sin, middle = cos * scale / shrink, sin * scale / shrink, size / 2
    coefficients = (
        *(cos, -sin, (face.x - left) / shrink - middle * (cos - sin)),
        *(sin, cos, (face.y - top) / shrink - middle * (sin + cos)),
    )
    crop = part.transform((size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)
    return cast(Crop, np.asarray(crop, dtype=np.uint8))
