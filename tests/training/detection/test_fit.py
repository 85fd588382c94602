from pathlib import Path

import numpy as np
import pytest
import torch

from facerec.training.dataset import FaceDataset
from facerec.training.detection import fit
from facerec.training.errors import CheckpointError, DataError
from facerec.training.options import DetectorOptions, RecognizerOptions, changed
from facerec.training.split import Split
from tests.options import detector_options
from tests.training.interruption import stopping_at

CPU = torch.device("cpu")


@pytest.fixture
def options(small_options: RecognizerOptions, tmp_path: Path) -> DetectorOptions:
    return detector_options(small_options, checkpoints=tmp_path, steps=4)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "SCENE_PIXELS", 64)
    monkeypatch.setattr(fit, "BATCH_SIZE", 2)
    monkeypatch.setattr(fit, "STEPS_PER_CHECKPOINT", 2)


def test_a_resumed_run_gives_what_an_uninterrupted_one_does(
    dataset: FaceDataset, split: Split, options: DetectorOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = fit.fit_detector(dataset, split.background, options, device=CPU)

    again = changed(options, checkpoints=options.training.checkpoints / "again")
    step = fit.train_step
    monkeypatch.setattr(fit, "train_step", interrupted := stopping_at(3, step))
    with pytest.raises(KeyboardInterrupt):
        fit.fit_detector(dataset, split.background, again, device=CPU)
    assert interrupted.calls == 3
    monkeypatch.setattr(fit, "train_step", step)
    with pytest.raises(CheckpointError, match="unfinished run"):
        fit.fit_detector(dataset, split.background, again, device=CPU)
    resumed = fit.fit_detector(dataset, split.background, changed(again, resume=True), device=CPU)
    for one, other in zip(straight.state_dict().values(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)


def test_crops_that_may_have_no_face_in_their_middle_are_refused(
    dataset: FaceDataset, split: Split, options: DetectorOptions
) -> None:
    with pytest.raises(DataError, match="say so with --crop-mode centre"):
        fit.fit_detector(dataset, split.background, changed(options, crop_mode="detect"), device=CPU)


def test_without_background_people_there_is_nothing_to_learn_from(
    dataset: FaceDataset, options: DetectorOptions
) -> None:
    with pytest.raises(DataError, match="--min-images"):
        fit.fit_detector(dataset, np.array([], np.int64), options, device=CPU)


def test_other_options_are_refused(dataset: FaceDataset, split: Split, options: DetectorOptions) -> None:
    fit.fit_detector(dataset, split.background, options, device=CPU)
    with pytest.raises(CheckpointError, match="--seed 0"):
        fit.fit_detector(dataset, split.background, changed(options, seed=1, resume=True), device=CPU)


def test_a_finished_run_is_not_taken_for_the_one_that_followed_it(
    dataset: FaceDataset, split: Split, options: DetectorOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit.fit_detector(dataset, split.background, options, device=CPU)
    monkeypatch.setattr(fit, "train_step", stopping_at(1, fit.train_step))
    with pytest.raises(KeyboardInterrupt):
        fit.fit_detector(dataset, split.background, options, device=CPU)
    with pytest.raises(CheckpointError, match="there is no run to go on with"):
        fit.fit_detector(dataset, split.background, changed(options, resume=True), device=CPU)
