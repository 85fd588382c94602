"""A photograph with points that were read from it by eye."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

from facerec.inference.cropping import Face

HOPPER = Face(265, 223, 205, 0, 1)
"""Grace Hopper's face in the photograph that comes with Matplotlib."""

HOPPER_POINTS = np.array([(318.0, 190.0), (290.0, 190.0), (209.0, 193.0), (235.0, 193.0), (268.0, 250.0)])
"""Her points, in the order of `facerec.inference.alignment.Landmarks`."""


def photograph() -> Image.Image:
    """The photograph, RGB."""
    return Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
