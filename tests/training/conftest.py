"""The drawn people as the learning side sees them."""

import pytest

from facerec.training.dataset import FaceImages, load_faces
from facerec.training.options import Options
from facerec.training.split import Split, split_dataset


@pytest.fixture(scope="session")
def faces(small_options: Options) -> FaceImages:
    return load_faces(small_options.data, data_dir=small_options.data_dir)


@pytest.fixture(scope="session")
def split(faces: FaceImages) -> Split:
    return split_dataset(faces, min_images=5, seed=0, fold=0)
