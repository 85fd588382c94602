"""Images per second of the training loop and of the bare step, in as many processes as `torchrun` starts.

    uv run torchrun --nproc-per-node=2 -m benchmarks.train_steps --data data/lfw-funneled.tgz --data-dir data

Prints both speeds as JSON, and leaves in the data folder what `train.py` leaves there. `benchmarks.train` runs it.
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
from facerec.training.options import WITHOUT_TEACHER_DEFAULTS, changed
from facerec.training.recognition.label_training import start_state, train_step
from facerec.training.recognition.loss import cosine_margin_loss
from facerec.training.recognition.network import INPUT_SIZE
from facerec.training.recognition.sampling import epoch_batches
from facerec.training.split import split_dataset


@dataclass(frozen=True)
class Options:
    """Measure training steps."""

    data: Path  # archive or folder of people
    data_dir: Path  # where its crops are kept
    steps: int = 12  # number of steps in each measurement
    min_images: int = 20  # pictures that a person needs to be known
    batch_size: int = 64  # images in a step, all processes together


def main(options: Options) -> None:
    """Measure, print."""
    keep_freed_memory()
    with process_group():
        steps = Steps(options)
        speeds = {"bare": images_per_second(steps.bare, options), "real": images_per_second(steps.real, options)}
        if rank() == 0:
            print(json.dumps(speeds))


class Steps:
    """Training as `train.py --teacher none` starts it, but from random weights, which does not change the speed."""

    def __init__(self, options: Options) -> None:
        with first_process_first():
            self._dataset = load_dataset(options.data, data_dir=options.data_dir)
        self._options = changed(
            WITHOUT_TEACHER_DEFAULTS,
            weights="none",
            min_images=options.min_images,
            batch_size=options.batch_size,
        )
        self._split = split_dataset(self._dataset, min_images=options.min_images, seed=0, fold=0)
        self._device = pick_device()
        self._state = start_state(self._split, self._options, device=self._device)
        network = self._state.network
        self._model = DistributedDataParallel(network) if world_size() > 1 else network
        self._batches = own_shard(epoch_batches(self._split, self._options, epoch=0))

    def real(self, count: int) -> None:
        """Take `count` steps of the training loop, with augmented crops from the memory map."""
        self._model.train()
        generator = torch.Generator().manual_seed(0)
        for indices in itertools.islice(itertools.cycle(self._batches), count):
            crops, labels = (
                torch.from_numpy(self._dataset.crops[indices]),
                torch.from_numpy(self._split.labels[indices]),
            )
            train_step(self._model, self._state, crops, labels, self._options, generator=generator)

    def bare(self, count: int) -> None:
        """Take `count` times forward, backward and optimizer on one batch that is already on the device."""
        images = torch.randn(self._batches.shape[1], 3, INPUT_SIZE, INPUT_SIZE, device=self._device)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.from_numpy(self._split.labels[self._batches[0]]).to(self._device)
        margin, scale = self._options.training.margin, self._options.training.scale
        self._model.train()
        for _ in range(count):
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
                similarities = self._model(images)
            loss = cosine_margin_loss(similarities.float(), labels, margin=margin, scale=scale)
            self._state.optimizer.zero_grad()
            loss.backward()
            self._state.optimizer.step()
        loss.item()  # waits until a GPU has finished


def images_per_second(take: Callable[[int], None], options: Options) -> float:
    """Images that all processes together take through the steps in a second."""
    take(2)  # the first steps are slower
    start = time.perf_counter()
    take(options.steps)
    return options.steps * options.batch_size / (time.perf_counter() - start)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
