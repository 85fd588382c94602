"""The drawn people as the learning side sees them."""

import pytest

from facerec.learning.dataset import FaceImages, load_faces
from facerec.learning.options import Options
from facerec.learning.roles import Roles, assign_roles


@pytest.fixture(scope="session")
def faces(small_options: Options) -> FaceImages:
    return load_faces(small_options.data, data_dir=small_options.data_dir)


@pytest.fixture(scope="session")
def roles(faces: FaceImages) -> Roles:
    return assign_roles(faces, min_images=5, seed=0, fold=0)
