import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from facerec.learning import distributed
from facerec.learning import fit as fit_module
from facerec.learning.dataset import load_faces
from facerec.learning.distributed import own_share, process_group
from facerec.learning.errors import OptionError
from facerec.learning.options import Options
from facerec.learning.roles import assign_roles
from facerec.learning.sampling import epoch_batches

ROOT = Path(__file__).parents[2]
ON_CPU = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
"""Two processes would want two GPUs."""


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_each_batch_without_overlap(
    processes: int, small_options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = load_faces(small_options.data, data_dir=small_options.data_dir)
    roles = assign_roles(faces, min_images=5, seed=0, fold=0)
    batches = epoch_batches(roles, dataclasses.replace(small_options, batch_size=12), epoch=0)
    shares = []
    monkeypatch.setattr(distributed, "world_size", lambda: processes)
    for rank in range(processes):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares.append(own_share(batches))
    assert sorted(np.concatenate(shares, axis=1).ravel()) == sorted(batches.ravel())
    for share in shares:
        assert share.shape[1] == 12 // processes
        assert np.isin(share, roles.train).sum() == np.isin(share, roles.others).sum()


def test_two_processes_train_one_model(small_options: Options, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py"),
        *("--data", small_options.data, "--data-dir", tmp_path / "data", "--min-images", "5", "--weights", "none"),
        *("--epochs", "2", "--batch-size", "12"),
        *("--min-epoch-images", "1", "--embedding-size", "128"),
        *("--output", tmp_path / "model", "--images", tmp_path / "images", "--checkpoints", tmp_path / "checkpoints"),
    ]
    result = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False, env=ON_CPU
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("known people:") == 1, "one process writes"
    report = json.loads((tmp_path / "model" / "report.json").read_text())
    roles = assign_roles(load_faces(small_options.data, data_dir=small_options.data_dir), min_images=5, seed=0, fold=0)
    expected = epoch_batches(roles, small_options, epoch=0).size
    assert [epoch["images"] for epoch in report["history"]] == [expected] * 2, "the same images as in one process"
    assert report["parity"]["same_top_1"] == report["parity"]["images"]


def test_all_processes_come_to_the_same_weights(small_options: Options, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import torch
from pathlib import Path
from facerec.learning.dataset import load_faces
from facerec.learning.distributed import process_group
from facerec.learning.fit import fit
from facerec.learning.options import Options
from facerec.learning.roles import assign_roles

options = Options(
    data=Path({str(small_options.data)!r}), data_dir=Path({str(small_options.data_dir)!r}), weights="none",
    epochs=1, batch_size=12, min_images=5, min_epoch_images=1, checkpoints=Path({str(tmp_path)!r}),
)
with process_group():
    faces = load_faces(options.data, data_dir=options.data_dir)
    roles = assign_roles(faces, min_images=5, seed=0, fold=0)
    network = fit(faces, roles, options, fold=0, device=torch.device("cpu")).network
    mine = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    theirs = [torch.empty_like(mine) for _ in range(2)]
    torch.distributed.all_gather(theirs, mine)
    assert torch.equal(*theirs)
"""
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = ON_CPU | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr


def test_a_batch_too_small_to_share_is_refused(small_options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "world_size", lambda: 8)
    faces = load_faces(small_options.data, data_dir=small_options.data_dir)
    roles = assign_roles(faces, min_images=5, seed=0, fold=0)
    with pytest.raises(OptionError, match="--batch-size is 12 and must be at least 16"):
        fit_module.fit(faces, roles, small_options, fold=0, device=torch.device("cpu"))


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(OptionError, match="has 1 GPUs: start torchrun with --nproc-per-node=1"), process_group():
        pass
