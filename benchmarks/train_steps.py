"""Images per second of the real training loop and of the bare step, in as many processes as `torchrun` starts.

    uv run torchrun --nproc-per-node=2 -m benchmarks.train_steps --data data/lfw-funneled.tgz --data-dir data

Prints them as JSON, and leaves what `train.py` leaves in the data folder. `benchmarks.train` runs it by turns.
"""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch.nn.parallel import DistributedDataParallel

from facerec.training.dataset import load_dataset
from facerec.training.device import keep_freed_memory, pick_device
from facerec.training.distributed import first_process_first, own_shard, process_group, rank, world_size
from facerec.training.options import Options as TrainingOptions
from facerec.training.recognition.fit import Run
from facerec.training.recognition.loss import cosine_margin_loss
from facerec.training.recognition.network import INPUT_SIZE
from facerec.training.recognition.sampling import epoch_batches
from facerec.training.recognition.steps import train_one_epoch
from facerec.training.split import split_dataset

_WARM_STEPS = 2


@dataclass(frozen=True)
class Options:
    """Time training steps."""

    data: Path
    """Archive or folder of people."""
    data_dir: Path
    """Where its crops are kept."""
    steps: int = 12
    """Of each measurement."""
    min_images: int = 20
    batch_size: int = 64
    """Over all processes."""


def main(options: Options) -> None:
    """Measure, print."""
    keep_freed_memory()
    with process_group():
        steps = Steps(options)
        speeds = {"bare": images_per_second(steps.bare, options), "real": images_per_second(steps.real, options)}
        if rank() == 0:
            print(json.dumps(speeds))


class Steps:
    """Those of a run as `train.py` starts it, but for the weights, on which the speed does not depend."""

    def __init__(self, options: Options) -> None:
        with first_process_first():
            self._faces = load_dataset(options.data, data_dir=options.data_dir)
        self._training = TrainingOptions(weights="none", min_images=options.min_images, batch_size=options.batch_size)
        self._roles = split_dataset(self._faces, min_images=options.min_images, seed=self._training.seed, fold=0)
        self._device = pick_device()
        self._run = Run.start(self._roles, self._training, device=self._device)
        self._model = DistributedDataParallel(self._run.network) if world_size() > 1 else self._run.network
        self._batches = own_shard(epoch_batches(self._roles, self._training, epoch=0))

    def real(self, count: int) -> None:
        """The training loop: crops from the memory map, changed at random, and the average of the weights."""
        shards = itertools.islice(itertools.cycle(self._batches), count)
        train_one_epoch(
            self._model,
            self._run.average,
            (
                (torch.from_numpy(self._faces.crops[each]), torch.from_numpy(self._roles.labels[each]))
                for each in shards
            ),
            self._run.optimizer,
            self._run.schedule,
            margin=self._training.margin,
            scale=self._training.scale,
            generator=torch.Generator().manual_seed(0),
        )

    def bare(self, count: int) -> None:
        """Forward, backward and optimizer on one tensor that is there already."""
        images = torch.randn(self._batches.shape[1], 3, INPUT_SIZE, INPUT_SIZE, device=self._device)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.from_numpy(self._roles.labels[self._batches[0]]).to(self._device)
        self._model.train()
        for _ in range(count):
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
                similarities = self._model(images)
            loss = cosine_margin_loss(
                similarities.float(), labels, margin=self._training.margin, scale=self._training.scale
            )
            self._run.optimizer.zero_grad()
            loss.backward()
            self._run.optimizer.step()
        loss.item()  # waits for a GPU to finish


def images_per_second(steps: Callable[[int], None], options: Options) -> float:
    """How many images all processes together take through `steps`."""
    steps(_WARM_STEPS)
    start = time.perf_counter()
    steps(options.steps)
    return options.steps * options.batch_size / (time.perf_counter() - start)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
