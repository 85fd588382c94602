"""The drawn people as the learning side sees them."""

import pytest

from facerec.training.dataset import FaceDataset, load_dataset
from facerec.training.options import RecognizerOptions
from facerec.training.split import Split, split_dataset


@pytest.fixture(scope="session")
def dataset(small_options: RecognizerOptions) -> FaceDataset:
    return load_dataset(small_options.data.data, data_dir=small_options.data.data_dir)


@pytest.fixture(scope="session")
def split(dataset: FaceDataset) -> Split:
    return split_dataset(dataset, min_images=5, seed=0, fold=0)
