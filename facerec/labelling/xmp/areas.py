"""Faces that are named in a photo's metadata, and which way up the metadata means the photo."""

from collections.abc import Callable
from math import isfinite
from typing import NamedTuple, Self

_UPRIGHT: dict[int, Callable[[float, float], tuple[float, float]]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}
"""For each EXIF orientation where a point of the stored picture is in the upright one (CIPA DC-008, 4.6.5.1)."""
_INVERSE = {6: 8, 8: 6}
"""The orientations that another one undoes. Each of the others undoes itself."""


class Region(NamedTuple):
    """A face and the name of the person, in pixels of the upright picture."""

    name: str
    left: float
    top: float
    width: float
    height: float


class Area(NamedTuple):
    """A rectangle in a picture whose sides have the length 1."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, region: Region, size: tuple[int, int]) -> Self:
        """The area of a region of a picture of `size`, its width and height in pixels."""
        width, height = size
        return cls(
            region.left / width,
            region.top / height,
            (region.left + region.width) / width,
            (region.top + region.height) / height,
        )

    def region(self, name: str, size: tuple[int, int]) -> Region:
        """The region of this area in a picture of `size`."""
        width, height = size
        return Region(
            name,
            self.left * width,
            self.top * height,
            (self.right - self.left) * width,
            (self.bottom - self.top) * height,
        )

    def upright(self, orientation: int) -> Self:
        """Where this area of the stored picture is in the upright one. `orientation` is the EXIF one, 1 to 8."""
        point = _UPRIGHT[orientation]
        (x, y), (other_x, other_y) = point(self.left, self.top), point(self.right, self.bottom)
        return type(self)(min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y))

    def stored(self, orientation: int) -> Self:
        """Where this area of the upright picture is in the stored one."""
        return self.upright(_INVERSE.get(orientation, orientation))

    def clipped(self) -> Self | None:
        """The part inside the picture, or `None` where there is none or a number is not finite."""
        if not all(map(isfinite, self)):
            return None
        left, top, right, bottom = (min(max(side, 0.0), 1.0) for side in self)
        return type(self)(left, top, right, bottom) if left < right and top < bottom else None

    def is_centred_in(self, other: Self) -> bool:
        """Whether the centre of this area is in another one."""
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        return other.left <= x <= other.right and other.top <= y <= other.bottom


def stored_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height of the stored picture, for those of the upright one."""
    width, height = size
    return (height, width) if orientation >= 5 else size
