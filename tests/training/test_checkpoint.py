"""Files in the place of checkpoints and weights."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v3_large

from facerec.training.backbone import load_backbone
from facerec.training.checkpoint import load_checkpoint, refuse_to_overwrite, save_checkpoint
from facerec.training.errors import CheckpointError, DataError
from facerec.training.state import TrainState
from tests.training.small_disk import no_file_larger_than


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def write_odd_file(kind: str, folder: Path) -> Path:
    path = folder / "last.pt"
    match kind:
        case "empty":
            path.touch()
        case "text":
            path.write_text("not a checkpoint\n" * 10)
        case "folder":
            path.mkdir()
        case "pickle":
            path.write_bytes(pickle.dumps(Hostile(folder / "executed")))
        case "code":
            torch.save(Hostile(folder / "executed"), path)
        case "cut off":
            torch.save({"recipe": {}, "network": torch.zeros(1000)}, path)
            path.write_bytes(path.read_bytes()[:-700])
        case "tensor":
            torch.save(torch.zeros(3), path)
        case "list":
            torch.save([1, 2], path)
    return path


ODD_FILES = ["empty", "text", "folder", "pickle", "code", "cut off", "tensor", "list"]


@pytest.mark.parametrize("kind", ODD_FILES)
def test_a_file_that_is_no_checkpoint_is_an_error_and_runs_nothing(kind: str, tmp_path: Path) -> None:
    path = write_odd_file(kind, tmp_path)
    with pytest.raises(CheckpointError, match=r"last\.pt is damaged or no checkpoint: [\w[].*\. Delete it") as info:
        load_checkpoint(path, recipe={})
    assert "\n" not in str(info.value)
    assert "weights_only" not in str(info.value)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("kind", [*ODD_FILES, "missing"])
def test_a_file_that_holds_no_weights_is_an_error_and_runs_nothing(kind: str, tmp_path: Path) -> None:
    path = write_odd_file(kind, tmp_path)
    with pytest.raises(DataError, match=r"can't load the backbone's weights from .*: [\w[].* --weights takes") as info:
        load_backbone(mobilenet_v3_large(), path)
    assert "\n" not in str(info.value)
    assert not (tmp_path / "executed").exists()


def test_weights_of_another_network_are_an_error_of_one_line(tmp_path: Path) -> None:
    state = mobilenet_v3_large().state_dict()
    torch.save({name: torch.zeros(2, 3) for name in state}, tmp_path / "other.pth")
    torch.save(dict.fromkeys(state, "text"), tmp_path / "text.pth")
    for name in ("other.pth", "text.pth"):
        with pytest.raises(DataError, match=r"size mismatch|expected torch\.Tensor") as info:
            load_backbone(mobilenet_v3_large(), tmp_path / name)
        assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"network": 3, "optimizer": 3, "schedule": 3, "history": 3},
        {"network": {"weight": "text"}, "optimizer": {}, "schedule": {}, "history": []},
        {"network": {"weight": torch.zeros(7, 7)}, "optimizer": {}, "schedule": {}, "history": []},
    ],
)
def test_states_that_do_not_fit_are_of_another_version(odd: dict[str, Any], tmp_path: Path) -> None:
    save_checkpoint({"recipe": {"steps": 3}, **odd}, tmp_path / "last.pt")
    state = TrainState.start(nn.Linear(2, 2), steps=3, learning_rate=0.1, backbone_rate=1, weight_decay=0)
    with pytest.raises(CheckpointError, match="of another version of this project"):
        state.restore(tmp_path / "last.pt", recipe={"steps": 3})
    with pytest.raises(CheckpointError, match="of another version of this project"):
        refuse_to_overwrite(tmp_path / "last.pt", finished=lambda found: found["schedule"]["last_epoch"] == 3)


def test_the_recipe_of_another_run_is_named(tmp_path: Path) -> None:
    save_checkpoint({"recipe": {"margin": 0.1, "seed": 0}}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"is of another run: --margin 0\.1 \(now 0\.2\)\. Go on with the same"):
        load_checkpoint(tmp_path / "last.pt", recipe={"margin": 0.2, "seed": 0})


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
