import dataclasses
import math

import numpy as np
import pytest

from facerec.training.options import RecognizerOptions, changed
from facerec.training.recognition.sampling import epoch_batches
from facerec.training.split import Split


def test_batches_are_half_known_and_half_background(split: Split, small_options: RecognizerOptions) -> None:
    batches = epoch_batches(split, small_options, epoch=0)
    assert batches.shape == (math.ceil(len(split.train) / 6), 12)
    assert np.isin(batches[:, :6], split.train).all()
    assert np.isin(batches[:, 6:], split.background).all()
    assert not np.array_equal(batches, epoch_batches(split, small_options, epoch=1))
    assert np.array_equal(batches, epoch_batches(split, small_options, epoch=0))


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_balance_weighs_people(balance: float, split: Split, small_options: RecognizerOptions) -> None:
    options = changed(small_options, balance=balance)
    drawn = np.concatenate([epoch_batches(split, options, epoch=epoch)[:, :6].ravel() for epoch in range(300)])
    fractions = np.bincount(split.labels[drawn]) / len(drawn)
    expected = np.bincount(split.labels[split.train]) ** (1 - balance)
    assert fractions == pytest.approx(expected / expected.sum(), abs=0.01)


@pytest.mark.parametrize(("wanted", "drawn"), [(100, 100), (10_000, 10 * 18)])
def test_an_epoch_draws_more_where_there_are_few_images_but_none_too_often(
    wanted: int, drawn: int, split: Split, small_options: RecognizerOptions
) -> None:
    assert len(split.train) == 18
    options = changed(small_options, min_epoch_images=wanted)
    assert epoch_batches(split, options, epoch=0).shape == (math.ceil(drawn / 6), 12)


def test_without_background_people_a_batch_is_all_known(split: Split, small_options: RecognizerOptions) -> None:
    alone = dataclasses.replace(split, background=split.background[:0])
    assert np.isin(epoch_batches(alone, small_options, epoch=0), split.train).all()
