"""A data set of black crops, for tests that use only paths and counts."""

import numpy as np

from facerec.training.dataset import FaceDataset


def blank_dataset(counts: dict[str, int]) -> FaceDataset:
    """A data set in which each name has the given number of images."""
    names = sorted(counts)
    identities = np.repeat(np.arange(len(names)), [counts[name] for name in names])
    paths = [f"{names[person]}/{image}.jpg" for image, person in enumerate(identities)]
    landmarks = np.full((len(paths), 5, 2), np.nan, np.float32)
    return FaceDataset(np.zeros((len(paths), 250, 250, 3), np.uint8), paths, names, identities, landmarks, {}, [], "")
