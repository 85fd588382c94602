"""How sharp a face is in its picture."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SHARPNESS_SIDE = 64
_SHARPNESS_PART = 0.8
"""Side of the square that sharpness is judged in, as a fraction of the side of the face's square."""


def measure_sharpness(crop: NDArray[np.uint8], face_size: float) -> float:
    """How much fine detail the middle of a crop has, about 0.05 to 0.6, regardless of its size, light and contrast.

    It is the standard deviation of the Laplacian, as a multiple of that of the pixels themselves.

    Args:
        crop: uint8 `[S, S, 3]`.
        face_size: side in pixels of the face's square in the middle of the crop.
    """
    middle, half = crop.shape[0] / 2, face_size * _SHARPNESS_PART / 2
    corners = (middle - half, middle - half, middle + half, middle + half)
    side = (_SHARPNESS_SIDE, _SHARPNESS_SIDE)
    grey = Image.fromarray(crop).convert("L").resize(side, Image.Resampling.BILINEAR, box=corners)
    values = np.asarray(grey, np.float32)
    inner = values[1:-1, 1:-1]
    laplacian = 4 * inner - values[:-2, 1:-1] - values[2:, 1:-1] - values[1:-1, :-2] - values[1:-1, 2:]
    return float(laplacian.std() / max(values.std(), 1))
