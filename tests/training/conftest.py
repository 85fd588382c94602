"""The drawn people as the learning side sees them."""

import pytest

from facerec.training.dataset import FaceImages, load_faces
from facerec.training.options import Options
from facerec.training.split import Roles, assign_roles


@pytest.fixture(scope="session")
def faces(small_options: Options) -> FaceImages:
    return load_faces(small_options.data, data_dir=small_options.data_dir)


@pytest.fixture(scope="session")
def roles(faces: FaceImages) -> Roles:
    return assign_roles(faces, min_images=5, seed=0, fold=0)
