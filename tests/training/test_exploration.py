import numpy as np
import pytest

from facerec.training.exploration import channel_statistics
from tests.training.blank_dataset import faces_with


def test_channel_statistics() -> None:
    faces = faces_with({"Ann": 3})
    random = np.random.default_rng(0)
    faces.crops[:] = random.integers(0, 256, faces.crops.shape)
    mean, deviation = channel_statistics(faces, np.array([0, 2]))
    pixels = faces.crops[[0, 2]].reshape(-1, 3) / 255
    assert mean == pytest.approx(pixels.mean(axis=0))
    assert deviation == pytest.approx(pixels.std(axis=0))
