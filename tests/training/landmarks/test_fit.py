import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from facerec.training.dataset import FaceDataset
from facerec.training.errors import CheckpointError, DataError, FitError
from facerec.training.landmarks import fit
from facerec.training.landmarks.labels import LabelledFaces
from facerec.training.options import LandmarkOptions, changed
from tests.training.interruption import stopping_at

CPU = torch.device("cpu")


@pytest.fixture
def options(landmark_options: LandmarkOptions, tmp_path: Path) -> LandmarkOptions:
    return changed(landmark_options, checkpoints=tmp_path, steps=4)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "BATCH_SIZE", 4)
    monkeypatch.setattr(fit, "STEPS_PER_CHECKPOINT", 2)


def test_a_resumed_run_gives_what_an_uninterrupted_one_does(
    marked: FaceDataset, labelled: LabelledFaces, options: LandmarkOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = fit.fit_landmarks(marked, labelled, options, device=CPU)

    again = changed(options, checkpoints=options.training.checkpoints / "again")
    step = fit.train_step
    monkeypatch.setattr(fit, "train_step", interrupted := stopping_at(4, step))
    with pytest.raises(KeyboardInterrupt):
        fit.fit_landmarks(marked, labelled, again, device=CPU)
    assert interrupted.calls == 4
    monkeypatch.setattr(fit, "train_step", step)
    with pytest.raises(CheckpointError, match="unfinished run"):
        fit.fit_landmarks(marked, labelled, again, device=CPU)
    resumed = fit.fit_landmarks(marked, labelled, changed(again, resume=True), device=CPU)
    for one, other in zip(straight.state_dict().values(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)


def test_other_options_are_refused(marked: FaceDataset, labelled: LabelledFaces, options: LandmarkOptions) -> None:
    fit.fit_landmarks(marked, labelled, options, device=CPU)
    with pytest.raises(CheckpointError, match="--seed 0"):
        fit.fit_landmarks(marked, labelled, changed(options, seed=1, resume=True), device=CPU)


def test_faces_of_another_detector_are_refused(
    marked: FaceDataset, labelled: LabelledFaces, options: LandmarkOptions
) -> None:
    fit.fit_landmarks(marked, labelled, options, device=CPU)
    moved = dataclasses.replace(labelled, faces=[face._replace(x=face.x + 1) for face in labelled.faces])
    with pytest.raises(CheckpointError, match="other pictures, or crops of another detector"):
        fit.fit_landmarks(marked, moved, changed(options, resume=True), device=CPU)


def test_without_a_steady_label_there_is_nothing_to_learn_from(
    marked: FaceDataset, labelled: LabelledFaces, options: LandmarkOptions
) -> None:
    nothing = LabelledFaces(labelled.indices[:0], [], labelled.points[:0], labelled.spreads[:0], 0, 0)
    with pytest.raises(DataError, match="dlib is sure of its points in none"):
        fit.fit_landmarks(marked, nothing, options, device=CPU)


def test_a_loss_that_is_no_number_stops_the_run(
    marked: FaceDataset, labelled: LabelledFaces, options: LandmarkOptions
) -> None:
    broken = LabelledFaces(
        labelled.indices, labelled.faces, np.full_like(labelled.points, np.nan), labelled.spreads, 0, 0
    )
    with pytest.raises(FitError, match="lower --learning-rate"):
        fit.fit_landmarks(marked, broken, options, device=CPU)
