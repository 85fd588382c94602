import numpy as np
import pytest

from facerec.training.exploration import channel_statistics
from tests.training.blank_dataset import blank_dataset


def test_channel_statistics_are_those_of_the_chosen_images() -> None:
    dataset = blank_dataset({"Ann": 3})
    random = np.random.default_rng(0)
    dataset.crops[:] = random.integers(0, 256, dataset.crops.shape)
    mean, deviation = channel_statistics(dataset, np.array([0, 2]))
    pixels = dataset.crops[[0, 2]].reshape(-1, 3) / 255
    assert mean == pytest.approx(pixels.mean(axis=0))
    assert deviation == pytest.approx(pixels.std(axis=0))
