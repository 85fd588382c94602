import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from facerec.training.dataset import FaceDataset
from facerec.training.errors import CheckpointError, FitError
from facerec.training.options import RecognizerOptions, changed
from facerec.training.recognition import label_training as module
from facerec.training.recognition.fit import fit
from facerec.training.recognition.network import INPUT_RECIPE
from facerec.training.recognition.trained_model import EpochStats, TrainedModel
from facerec.training.split import Split
from facerec.training.state import TrainState

CPU = torch.device("cpu")

STEPS_PER_EPOCH = 3
"""Of the small options on the drawn people."""

pytestmark = pytest.mark.usefixtures("toy_backbone")


@pytest.fixture
def options(small_options: RecognizerOptions, tmp_path: Path) -> RecognizerOptions:
    return changed(small_options, checkpoints=tmp_path / "checkpoints")


def without_times(history: list[EpochStats]) -> list[EpochStats]:
    return [dataclasses.replace(epoch, seconds=0) for epoch in history]


def assert_same(first: TrainedModel, second: TrainedModel) -> None:
    assert without_times(first.history) == without_times(second.history)
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name


def interrupt(monkeypatch: pytest.MonkeyPatch, name: str, *, call: int) -> None:
    """Make the `call`-th training step or checkpoint raise KeyboardInterrupt, as Ctrl-C does."""
    owner: Any = TrainState if name == "save" else module
    real: Callable[..., Any] = getattr(owner, name)
    calls: list[int] = []

    def interrupted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(owner, name, interrupted)


@pytest.mark.parametrize(("name", "call"), [("train_step", STEPS_PER_EPOCH + 2), ("save", 2)])
def test_a_stopped_run_goes_on_to_the_same_result(
    name: str,
    call: int,
    dataset: FaceDataset,
    split: Split,
    options: RecognizerOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped within the second epoch, or between it and its checkpoint."""
    whole = fit(
        dataset, split, changed(options, checkpoints=options.training.checkpoints / "whole"), fold=0, device=CPU
    )
    with monkeypatch.context() as patch:
        interrupt(patch, name, call=call)
        with pytest.raises(KeyboardInterrupt):
            fit(dataset, split, options, fold=0, device=CPU)
    resumed = fit(dataset, split, changed(options, resume=True), fold=0, device=CPU)
    assert len(resumed.history) == 3
    assert_same(whole, resumed)


def test_it_learns(dataset: FaceDataset, split: Split, options: RecognizerOptions) -> None:
    model = fit(dataset, split, changed(options, epochs=160, learning_rate=3e-3), fold=0, device=CPU)
    assert model.history[-1].train_loss < 0.6 * model.history[0].train_loss


def test_it_gives_the_network_after_the_last_epoch(
    dataset: FaceDataset, split: Split, options: RecognizerOptions
) -> None:
    model = fit(dataset, split, options, fold=0, device=CPU)
    similarities = model.similarities(split.validation)
    assert similarities.shape == (len(split.validation), len(split.people))
    labels = torch.from_numpy(split.labels[split.validation])
    loss = torch.nn.functional.cross_entropy(options.training.scale * similarities, labels).item()
    assert loss == pytest.approx(model.history[-1].validation_loss, rel=1e-4)
    assert loss != pytest.approx(model.history[-2].validation_loss, rel=1e-3)


def test_an_unfinished_run_is_not_overwritten_and_a_finished_one_is(
    dataset: FaceDataset, split: Split, options: RecognizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, "train_step", call=STEPS_PER_EPOCH + 2)
        with pytest.raises(KeyboardInterrupt):
            fit(dataset, split, options, fold=0, device=CPU)
    with pytest.raises(CheckpointError, match=r"holds an unfinished run"):
        fit(dataset, split, options, fold=0, device=CPU)
    fit(dataset, split, changed(options, resume=True), fold=0, device=CPU)
    anew = fit(dataset, split, changed(options, margin=0.1), fold=0, device=CPU)
    assert len(anew.history) == 3


def test_no_fold_of_an_unfinished_run_is_overwritten(
    dataset: FaceDataset, split: Split, options: RecognizerOptions
) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    last = options.training.checkpoints / "fold-0" / "last.pt"
    later = options.training.checkpoints / "fold-1" / "last.pt"
    later.parent.mkdir()
    state = torch.load(last, weights_only=True)
    torch.save(state | {"history": state["history"][:1]}, later)
    there = last.read_bytes()
    with pytest.raises(CheckpointError, match=r"fold-1 holds an unfinished run"):
        fit(dataset, split, options, fold=0, device=CPU)
    assert last.read_bytes() == there


def test_a_run_that_was_stopped_between_folds_is_not_overwritten(
    dataset: FaceDataset, split: Split, options: RecognizerOptions
) -> None:
    two = changed(options, folds=2)
    fit(dataset, split, two, fold=0, device=CPU)
    with pytest.raises(CheckpointError, match=r"fold-0 holds an unfinished run"):
        fit(dataset, split, two, fold=0, device=CPU)
    fit(dataset, split, two, fold=1, device=CPU)
    fit(dataset, split, two, fold=0, device=CPU)


def test_folds_of_a_run_before_are_not_taken_for_a_new_run_s(
    dataset: FaceDataset, split: Split, options: RecognizerOptions
) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    fit(dataset, split, options, fold=1, device=CPU)
    fit(dataset, split, options, fold=0, device=CPU)
    assert [folder.name for folder in options.training.checkpoints.iterdir()] == ["fold-0"]


def test_resuming_does_not_need_what_training_never_reads(
    dataset: FaceDataset, split: Split, options: RecognizerOptions
) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    other = changed(options, resume=True, false_accept_rate=0.1, weights_licence="MIT")
    fit(dataset, split, other, fold=0, device=CPU)


def test_resuming_needs_the_same_crop(
    dataset: FaceDataset, split: Split, options: RecognizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    monkeypatch.setitem(INPUT_RECIPE, "input_size", 64)
    with pytest.raises(CheckpointError, match=r"--input-size 224 \(now 64\)"):
        fit(dataset, split, changed(options, resume=True), fold=0, device=CPU)


def test_resuming_needs_the_same_options(dataset: FaceDataset, split: Split, options: RecognizerOptions) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    other = changed(options, resume=True, margin=0.1, seed=5, data=Path("elsewhere"))
    with pytest.raises(CheckpointError, match=r"--margin 0.35 \(now 0.1\), --seed 0 \(now 5\)"):
        fit(dataset, split, other, fold=0, device=CPU)


def test_resuming_needs_the_same_pictures(dataset: FaceDataset, split: Split, options: RecognizerOptions) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    others = dataclasses.replace(dataset, fingerprint="other pictures")
    with pytest.raises(CheckpointError, match=r"of another run: other pictures, or crops of another detector"):
        fit(others, split, changed(options, resume=True), fold=0, device=CPU)


def test_a_run_of_another_version_is_not_gone_on_with(
    dataset: FaceDataset, split: Split, options: RecognizerOptions
) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    last = options.training.checkpoints / "fold-0" / "last.pt"
    state = torch.load(last, weights_only=True)
    older = {name: state[name] for name in state.keys() - {"network", "folds"}}
    torch.save(older, last)
    for again in (options, changed(options, resume=True)):
        with pytest.raises(CheckpointError, match=r"last.pt is of another version of this project"):
            fit(dataset, split, again, fold=0, device=CPU)
    assert torch.load(last, weights_only=True).keys() == older.keys()


def test_resuming_needs_a_run(dataset: FaceDataset, split: Split, options: RecognizerOptions) -> None:
    with pytest.raises(CheckpointError, match=r"there is no run to go on with"):
        fit(dataset, split, changed(options, resume=True), fold=0, device=CPU)


def test_a_loss_that_is_no_number_stops_the_run(dataset: FaceDataset, split: Split, options: RecognizerOptions) -> None:
    with pytest.raises(FitError, match=r"the loss is nan at step \d+.*--learning-rate"):
        fit(dataset, split, changed(options, learning_rate=math.inf), fold=0, device=CPU)


def test_out_of_memory_names_the_batch_size(
    dataset: FaceDataset, split: Split, options: RecognizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")

    monkeypatch.setattr(module, "augment", too_large)
    with pytest.raises(FitError, match="--batch-size"):
        fit(dataset, split, options, fold=0, device=CPU)
