import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facerec.learning import fit as module
from facerec.learning.checkpoint import load_checkpoint
from facerec.learning.dataset import FaceImages, load_faces
from facerec.learning.errors import CheckpointError, TrainingError
from facerec.learning.fit import Epoch, Fitted, best_epoch, epoch_batches, fit, update_average
from facerec.learning.network import FaceNetwork
from facerec.learning.options import Options
from facerec.learning.roles import Roles, assign_roles

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def faces(small_options: Options) -> FaceImages:
    return load_faces(small_options.data, data_dir=small_options.data_dir)


@pytest.fixture(scope="module")
def roles(faces: FaceImages) -> Roles:
    return assign_roles(faces, min_images=5, seed=0, fold=0)


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


@pytest.mark.parametrize(("name", "call"), [("train_one_epoch", 2), ("save_checkpoint", 4)])
def test_a_stopped_run_goes_on_to_the_same_result(
    name: str, call: int, faces: FaceImages, roles: Roles, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within the second epoch, or between its two checkpoints."""
    whole = fit(
        faces, roles, dataclasses.replace(options, checkpoints=options.checkpoints / "whole"), fold=0, device=CPU
    )
    with monkeypatch.context() as patch:
        interrupt(patch, name, call=call)
        with pytest.raises(KeyboardInterrupt):
            fit(faces, roles, options, fold=0, device=CPU)
    resumed = fit(faces, roles, dataclasses.replace(options, resume=True), fold=0, device=CPU)
    assert len(resumed.history) == 3
    assert_same(whole, resumed)


def test_it_learns(faces: FaceImages, roles: Roles, options: Options) -> None:
    fitted = fit(faces, roles, dataclasses.replace(options, epochs=20, small_epochs=20), fold=0, device=CPU)
    assert fitted.history[-1].train_loss < 0.6 * fitted.history[0].train_loss


def test_another_run_is_not_overwritten(faces: FaceImages, roles: Roles, options: Options) -> None:
    fit(faces, roles, options, fold=0, device=CPU)
    with pytest.raises(CheckpointError, match=r"holds another run"):
        fit(faces, roles, options, fold=0, device=CPU)


def test_resuming_needs_the_same_options(faces: FaceImages, roles: Roles, options: Options) -> None:
    fit(faces, roles, options, fold=0, device=CPU)
    other = dataclasses.replace(options, resume=True, margin=0.1, seed=5, data=Path("elsewhere"))
    with pytest.raises(CheckpointError, match=r"--margin 0.35 \(now 0.1\), --seed 0 \(now 5\)"):
        fit(faces, roles, other, fold=0, device=CPU)


def test_resuming_needs_the_same_pictures(faces: FaceImages, roles: Roles, options: Options) -> None:
    fit(faces, roles, options, fold=0, device=CPU)
    others = dataclasses.replace(faces, fingerprint="other pictures")
    with pytest.raises(CheckpointError, match=r"of a run with other options: --data"):
        fit(others, roles, dataclasses.replace(options, resume=True), fold=0, device=CPU)


def test_resuming_needs_a_run(faces: FaceImages, roles: Roles, options: Options) -> None:
    with pytest.raises(CheckpointError, match=r"there is no run to go on with"):
        fit(faces, roles, dataclasses.replace(options, resume=True), fold=0, device=CPU)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is damaged"):
        load_checkpoint(tmp_path / "last.pt", recipe={})


def test_a_loss_that_is_no_number_stops_the_run(faces: FaceImages, roles: Roles, options: Options) -> None:
    with pytest.raises(TrainingError, match=r"the loss is nan at step \d+.*--learning-rate"):
        fit(faces, roles, dataclasses.replace(options, learning_rate=math.inf), fold=0, device=CPU)


def test_out_of_memory_names_the_batch_size(
    faces: FaceImages, roles: Roles, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")

    monkeypatch.setattr(module, "augment", too_large)
    with pytest.raises(TrainingError, match="--batch-size"):
        fit(faces, roles, options, fold=0, device=CPU)


def test_batches_are_half_known_half_others(roles: Roles, options: Options) -> None:
    batches = epoch_batches(roles, options, epoch=0)
    assert batches.shape == (math.ceil(len(roles.train) / 6), 12)
    assert np.isin(batches[:, :6], roles.train).all()
    assert np.isin(batches[:, 6:], roles.others).all()
    assert not np.array_equal(batches, epoch_batches(roles, options, epoch=1))
    assert np.array_equal(batches, epoch_batches(roles, options, epoch=0))


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_balance_weighs_people(balance: float, roles: Roles, options: Options) -> None:
    options = dataclasses.replace(options, balance=balance)
    drawn = np.concatenate([epoch_batches(roles, options, epoch=epoch)[:, :6].ravel() for epoch in range(300)])
    shares = np.bincount(roles.labels[drawn]) / len(drawn)
    expected = np.bincount(roles.labels[roles.train]) ** (1 - balance)
    assert shares == pytest.approx(expected / expected.sum(), abs=0.01)


def test_without_others_a_batch_is_all_known(roles: Roles, options: Options) -> None:
    alone = dataclasses.replace(roles, others=roles.others[:0])
    assert np.isin(epoch_batches(alone, options, epoch=0), roles.train).all()


@pytest.mark.parametrize(
    ("accuracies", "chosen"),
    [([0.5, 0.9, 0.7], 2), ([0.9, 0.9, 0.9], 3), ([0.9, 0.98, 0.97], 3), ([0.9, 0.98, 0.96], 2), ([1.0, 0.999], 1)],
)
def test_the_latest_of_the_epochs_that_validation_can_not_tell_apart(accuracies: list[float], chosen: int) -> None:
    """With 100 images, the standard error of 98 % is 1.4 points."""
    history = [Epoch(0, 0, 0, 0, 0, 0, accuracy, validation_images=100) for accuracy in accuracies]
    assert best_epoch(history) == chosen


def test_the_average_of_weights() -> None:
    network = FaceNetwork(embedding_size=128, classes=3)
    average = FaceNetwork(embedding_size=128, classes=3)
    weight = network.classifier.weight.detach()
    before = average.classifier.weight.detach().clone()
    update_average(average, network, decay=0.9, steps=1000)
    assert torch.allclose(average.classifier.weight, 0.9 * before + 0.1 * weight, atol=1e-6)
    update_average(average, network, decay=0.9, steps=0)
    assert torch.allclose(average.classifier.weight, 0.9 * weight + 0.1 * (0.9 * before + 0.1 * weight), atol=1e-6)
