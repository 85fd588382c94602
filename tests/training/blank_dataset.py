"""A data set of black pictures, for tests that look at paths and numbers alone."""

import numpy as np

from facerec.training.dataset import FaceDataset


def blank_dataset(counts: dict[str, int]) -> FaceDataset:
    names = sorted(counts)
    identities = np.repeat(np.arange(len(names)), [counts[name] for name in names])
    paths = [f"{names[person]}/{image}.jpg" for image, person in enumerate(identities)]
    return FaceDataset(np.zeros((len(paths), 250, 250, 3), np.uint8), paths, names, identities, {}, [], "")
