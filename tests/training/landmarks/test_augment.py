import numpy as np
import pytest
import torch

from facerec.training.landmarks import augment
from facerec.training.landmarks.augment import SOURCE_ENLARGEMENT, SOURCE_SIZE
from facerec.training.landmarks.network import CROP_SIZE, ENLARGEMENT

POINTS = np.array([(0.26, -0.1), (0.11, -0.08), (-0.25, -0.12), (-0.1, -0.07), (0.02, 0.2)])


def dotted(point: np.ndarray) -> np.ndarray:
    """A black crop with a white disc at a point."""
    middles = ((np.arange(SOURCE_SIZE) + 0.5) / SOURCE_SIZE - 0.5) * SOURCE_ENLARGEMENT
    near = (middles - point[0]) ** 2 + (middles[:, None] - point[1]) ** 2 < 0.06**2
    return np.repeat(255 * near[..., None], 3, axis=2).astype(np.uint8)


def test_points_stay_on_what_they_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    for probability in ("DEGRADE_PROBABILITY", "COVER_PROBABILITY", "GREY_PROBABILITY"):
        monkeypatch.setattr(augment, probability, 0)
    for deviation in ("BRIGHTNESS_STD", "LOG_CONTRAST_STD", "LOG_CHANNEL_GAIN_STD"):
        monkeypatch.setattr(augment, deviation, 0)
    marked = [0, 2, 4] * 8  # a mirror image swaps 0 and 2
    sources = np.stack([dotted(POINTS[point]) for point in marked])
    images, points = augment.augment(sources, np.stack([POINTS] * 24), random=np.random.default_rng(0))
    swapped = 0
    for image, found, point in zip(images.numpy(), points.numpy(), marked, strict=True):
        rows, columns = np.nonzero(image[0] > 127)
        place = ((np.array([columns.mean(), rows.mean()]) + 0.5) / CROP_SIZE - 0.5) * ENLARGEMENT
        nearest = int(np.linalg.norm(found - place, axis=1).argmin())
        assert found[nearest] == pytest.approx(place, abs=0.015)
        assert nearest in {point, {0: 2, 2: 0, 4: 4}[point]}
        swapped += nearest != point
    assert 0 < swapped < 16


def test_the_same_seed_gives_the_same_batch_and_another_a_different_one() -> None:
    sources = np.random.default_rng(0).integers(0, 256, (16, SOURCE_SIZE, SOURCE_SIZE, 3), np.uint8)
    points = np.stack([POINTS] * 16)
    first, again, other = (augment.augment(sources, points, random=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert first[0].shape == (16, 3, CROP_SIZE, CROP_SIZE)
    assert first[1].shape == (16, 5, 2)
    assert first[0].min() >= 0
    assert first[0].max() <= 255
    assert np.array_equal(points, np.stack([POINTS] * 16))
