import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from facerec.training.checkpoint import load_checkpoint, save_checkpoint
from facerec.training.dataset import FaceDataset
from facerec.training.errors import CheckpointError, TrainingError
from facerec.training.options import Options
from facerec.training.recognition import fit as module
from facerec.training.recognition import steps
from facerec.training.recognition.fit import Epoch, Fitted, best_epoch, fit
from facerec.training.recognition.network import SHOWN
from facerec.training.recognition.steps import similarities_to
from facerec.training.split import Split
from tests.training.small_disk import no_file_larger_than

CPU = torch.device("cpu")


@pytest.fixture
def options(small_options: Options, tmp_path: Path) -> Options:
    return dataclasses.replace(small_options, checkpoints=tmp_path / "checkpoints")


def without_times(history: list[Epoch]) -> list[Epoch]:
    return [dataclasses.replace(epoch, seconds=0) for epoch in history]


def assert_same(first: Fitted, second: Fitted) -> None:
    assert without_times(first.history) == without_times(second.history)
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name


def interrupt(monkeypatch: pytest.MonkeyPatch, name: str, *, call: int) -> None:
    """Make the `call`-th call of a function of the module raise KeyboardInterrupt, as Ctrl-C does."""
    real: Callable[..., Any] = getattr(module, name)
    calls: list[int] = []

    def interrupted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(module, name, interrupted)


@pytest.mark.parametrize(("name", "call"), [("train_one_epoch", 2), ("save_checkpoint", 2)])
def test_a_stopped_run_goes_on_to_the_same_result(
    name: str, call: int, dataset: FaceDataset, split: Split, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within the second epoch, or between it and its checkpoint."""
    whole = fit(
        dataset, split, dataclasses.replace(options, checkpoints=options.checkpoints / "whole"), fold=0, device=CPU
    )
    with monkeypatch.context() as patch:
        interrupt(patch, name, call=call)
        with pytest.raises(KeyboardInterrupt):
            fit(dataset, split, options, fold=0, device=CPU)
    resumed = fit(dataset, split, dataclasses.replace(options, resume=True), fold=0, device=CPU)
    assert len(resumed.history) == 3
    assert_same(whole, resumed)


def test_it_learns(dataset: FaceDataset, split: Split, options: Options) -> None:
    fitted = fit(dataset, split, dataclasses.replace(options, epochs=20), fold=0, device=CPU)
    assert fitted.history[-1].train_loss < 0.6 * fitted.history[0].train_loss


def test_it_gives_the_network_of_the_best_epoch_by_the_validation_images(
    dataset: FaceDataset, split: Split, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "best_epoch", lambda history: min(len(history), 2))
    fitted = fit(dataset, split, options, fold=0, device=CPU)
    assert fitted.best_epoch == 2
    losses = [epoch.validation_loss for epoch in fitted.history]
    similarities = similarities_to(len(split.people), fitted.network, dataset, split.validation)
    labels = torch.from_numpy(split.labels[split.validation])
    loss = torch.nn.functional.cross_entropy(options.scale * similarities, labels).item()
    assert loss == pytest.approx(losses[1], rel=1e-4)
    assert loss != pytest.approx(losses[2], rel=1e-3)
    assert fitted.history[1].validation_images == len(split.validation)


def test_an_unfinished_run_is_not_overwritten_and_a_finished_one_is(
    dataset: FaceDataset, split: Split, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, "train_one_epoch", call=2)
        with pytest.raises(KeyboardInterrupt):
            fit(dataset, split, options, fold=0, device=CPU)
    with pytest.raises(CheckpointError, match=r"holds an unfinished run"):
        fit(dataset, split, options, fold=0, device=CPU)
    fit(dataset, split, dataclasses.replace(options, resume=True), fold=0, device=CPU)
    anew = fit(dataset, split, dataclasses.replace(options, margin=0.1), fold=0, device=CPU)
    assert len(anew.history) == 3


def test_no_fold_of_an_unfinished_run_is_overwritten(dataset: FaceDataset, split: Split, options: Options) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    last = options.checkpoints / "fold-0" / "last.pt"
    later = options.checkpoints / "fold-1" / "last.pt"
    later.parent.mkdir()
    state = torch.load(last, weights_only=True)
    torch.save(state | {"history": state["history"][:1]}, later)
    there = last.read_bytes()
    with pytest.raises(CheckpointError, match=r"fold-1 holds an unfinished run"):
        fit(dataset, split, options, fold=0, device=CPU)
    assert last.read_bytes() == there


def test_a_run_that_was_stopped_between_folds_is_not_overwritten(
    dataset: FaceDataset, split: Split, options: Options
) -> None:
    two = dataclasses.replace(options, folds=2)
    fit(dataset, split, two, fold=0, device=CPU)
    with pytest.raises(CheckpointError, match=r"fold-0 holds an unfinished run"):
        fit(dataset, split, two, fold=0, device=CPU)
    fit(dataset, split, two, fold=1, device=CPU)
    fit(dataset, split, two, fold=0, device=CPU)


def test_folds_of_a_run_before_are_not_taken_for_a_new_run_s(
    dataset: FaceDataset, split: Split, options: Options
) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    fit(dataset, split, options, fold=1, device=CPU)
    fit(dataset, split, options, fold=0, device=CPU)
    assert [folder.name for folder in options.checkpoints.iterdir()] == ["fold-0"]


def test_resuming_does_not_need_what_training_never_reads(dataset: FaceDataset, split: Split, options: Options) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    other = dataclasses.replace(options, resume=True, false_accept_rate=0.1, weights_licence="MIT")
    fit(dataset, split, other, fold=0, device=CPU)


def test_resuming_needs_the_same_crop(
    dataset: FaceDataset, split: Split, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    monkeypatch.setitem(SHOWN, "input_size", 64)
    with pytest.raises(CheckpointError, match=r"another version of this project, of input size 224 \(now 64\)"):
        fit(dataset, split, dataclasses.replace(options, resume=True), fold=0, device=CPU)


def test_resuming_needs_the_same_options(dataset: FaceDataset, split: Split, options: Options) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    other = dataclasses.replace(options, resume=True, margin=0.1, seed=5, data=Path("elsewhere"))
    with pytest.raises(CheckpointError, match=r"--margin 0.35 \(now 0.1\), --seed 0 \(now 5\)"):
        fit(dataset, split, other, fold=0, device=CPU)


def test_resuming_needs_the_same_pictures(dataset: FaceDataset, split: Split, options: Options) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    others = dataclasses.replace(dataset, fingerprint="other pictures")
    with pytest.raises(CheckpointError, match=r"of another run: other pictures, or another detector"):
        fit(others, split, dataclasses.replace(options, resume=True), fold=0, device=CPU)


def test_a_run_of_another_version_is_not_gone_on_with(dataset: FaceDataset, split: Split, options: Options) -> None:
    fit(dataset, split, options, fold=0, device=CPU)
    last = options.checkpoints / "fold-0" / "last.pt"
    state = torch.load(last, weights_only=True)
    older = {name: state[name] for name in state.keys() - {"best", "folds"}}
    torch.save(older, last)
    for again in (options, dataclasses.replace(options, resume=True)):
        with pytest.raises(CheckpointError, match=r"last.pt is of another version of this project"):
            fit(dataset, split, again, fold=0, device=CPU)
    assert torch.load(last, weights_only=True).keys() == older.keys()


def test_resuming_needs_a_run(dataset: FaceDataset, split: Split, options: Options) -> None:
    with pytest.raises(CheckpointError, match=r"there is no run to go on with"):
        fit(dataset, split, dataclasses.replace(options, resume=True), fold=0, device=CPU)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is damaged"):
        load_checkpoint(tmp_path / "last.pt", recipe={})


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    save_checkpoint({"recipe": {}, "weights": torch.zeros(10)}, tmp_path / "last.pt")
    before = (tmp_path / "last.pt").read_bytes()
    with (
        no_file_larger_than(100_000),
        pytest.raises(CheckpointError, match=r"can't write .*last.pt: .* The checkpoint before it is unchanged"),
    ):
        save_checkpoint({"recipe": {}, "weights": torch.zeros(100_000)}, tmp_path / "last.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
    assert (tmp_path / "last.pt").read_bytes() == before


def test_a_loss_that_is_no_number_stops_the_run(dataset: FaceDataset, split: Split, options: Options) -> None:
    with pytest.raises(TrainingError, match=r"the loss is nan at step \d+.*--learning-rate"):
        fit(dataset, split, dataclasses.replace(options, learning_rate=math.inf), fold=0, device=CPU)


def test_out_of_memory_names_the_batch_size(
    dataset: FaceDataset, split: Split, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")

    monkeypatch.setattr(steps, "augment", too_large)
    with pytest.raises(TrainingError, match="--batch-size"):
        fit(dataset, split, options, fold=0, device=CPU)


@pytest.mark.parametrize(
    ("accuracies", "chosen"),
    [([0.5, 0.9, 0.7], 2), ([0.9, 0.9, 0.9], 3), ([0.9, 0.98, 0.94], 3), ([0.9, 0.98, 0.92], 2), ([1.0, 0.97], 2)],
)
def test_the_latest_of_the_epochs_that_validation_can_not_tell_apart(accuracies: list[float], chosen: int) -> None:
    """With 100 images, Wilson's 95 % interval of 98 % begins at 93.0 %, and that of 100 % at 96.3 %."""
    history = [Epoch(0, 0, 0, 0, 0, accuracy, validation_images=100) for accuracy in accuracies]
    assert best_epoch(history) == chosen
