import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from facerec.training import distributed
from facerec.training.dataset import load_dataset
from facerec.training.distributed import own_shard, process_group
from facerec.training.errors import OptionError
from facerec.training.options import RecognizerOptions, changed
from facerec.training.recognition import fit as fit_module
from facerec.training.recognition.sampling import epoch_batches
from facerec.training.split import split_dataset

ROOT = Path(__file__).parents[2]
ON_CPU = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
"""Two processes would want two GPUs."""


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_each_batch_without_overlap(
    processes: int, small_options: RecognizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_dataset(small_options.data.data, data_dir=small_options.data.data_dir)
    split = split_dataset(dataset, min_images=5, seed=0, fold=0)
    batches = epoch_batches(split, changed(small_options, batch_size=12), epoch=0)
    shards = []
    monkeypatch.setattr(distributed, "world_size", lambda: processes)
    for rank in range(processes):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shards.append(own_shard(batches))
    assert sorted(np.concatenate(shards, axis=1).ravel()) == sorted(batches.ravel())
    for shard in shards:
        assert shard.shape[1] == 12 // processes
        assert np.isin(shard, split.train).sum() == np.isin(shard, split.background).sum()


@pytest.mark.slow
def test_two_processes_train_one_model(small_options: RecognizerOptions, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py"),
        *("--data", small_options.data.data, "--data-dir", tmp_path / "data", "--min-images", "5", "--weights", "none"),
        *("--background", "none", "--crop-mode", "centre", "--landmarks", small_options.data.landmarks),
        *("--teacher", "none", "--epochs", "2", "--batch-size", "12"),
        *("--min-epoch-images", "1", "--embedding-size", "128"),
        *("--output", tmp_path / "model", "--images", tmp_path / "images", "--checkpoints", tmp_path / "checkpoints"),
    ]
    result = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False, env=ON_CPU
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("\n  known people:") == 1, "one process writes"
    report = json.loads((tmp_path / "model" / "face_recognition.json").read_text())
    split = split_dataset(
        load_dataset(small_options.data.data, data_dir=small_options.data.data_dir), min_images=5, seed=0, fold=0
    )
    expected = epoch_batches(split, small_options, epoch=0).size
    assert [epoch["images"] for epoch in report["history"]] == [expected] * 2
    assert report["parity"]["equal"] == report["parity"]["compared"]


@pytest.mark.slow
def test_processes_share_the_images_and_come_to_the_same_weights(
    small_options: RecognizerOptions, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import time
import pytest
import torch
from pathlib import Path
from facerec.training.options import changed
from tests.toy_backbone import use_toy_backbone
from facerec.training.recognition import label_training as module
from facerec.training.dataset import load_dataset
from facerec.training.distributed import first_process_first, process_group, rank
from facerec.training.recognition.fit import fit
from facerec.training.options import RecognizerOptions
from facerec.training.split import split_dataset
from facerec.training.recognition.sampling import epoch_batches

seen = []
train_step = module.train_step

def recording(model, state, crops, labels, options, *, generator):
    seen.extend(labels.tolist())
    return train_step(model, state, crops, labels, options, generator=generator)

def of_both(mine):
    both = [None, None]
    torch.distributed.all_gather_object(both, mine)
    return both

module.train_step = recording
use_toy_backbone(pytest.MonkeyPatch())
options = changed(
    RecognizerOptions(),
    data=Path({str(small_options.data.data)!r}), data_dir=Path({str(small_options.data.data_dir)!r}),
    weights="none", teacher="none", epochs=1, batch_size=12, min_images=5, min_epoch_images=1,
    checkpoints=Path({str(tmp_path)!r}),
)
with process_group():
    dataset = load_dataset(options.data.data, data_dir=options.data.data_dir)
    split = split_dataset(dataset, min_images=5, seed=0, fold=0)
    marker = options.training.checkpoints / "marker"
    with first_process_first():
        if rank() == 0:
            time.sleep(1)
            marker.touch()
        assert marker.exists(), "the first process was not first"
    model = fit(dataset, split, options, fold=0, device=torch.device("cpu"))
    assert torch.equal(*of_both(torch.cat([weights.detach().flatten() for weights in model.network.parameters()])))
    first, second = of_both(seen)
    drawn = split.labels[epoch_batches(split, options, epoch=0)].ravel().tolist()
    assert sorted(first + second) == sorted(drawn), "each image is one process's"
    first, second = of_both(model.history[0].train_loss)
    assert first == second, "the mean over both"
"""
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = ON_CPU | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr


def test_a_batch_too_small_to_share_is_refused(
    small_options: RecognizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_module, "world_size", lambda: 8)
    dataset = load_dataset(small_options.data.data, data_dir=small_options.data.data_dir)
    split = split_dataset(dataset, min_images=5, seed=0, fold=0)
    with pytest.raises(OptionError, match="--batch-size is 12 and must be at least 16"):
        fit_module.fit(dataset, split, small_options, fold=0, device=torch.device("cpu"))


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(OptionError, match="has 1 GPUs: start torchrun with --nproc-per-node=1"), process_group():
        pass
