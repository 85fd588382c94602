"""Training in several processes, one per GPU, as `torchrun` starts them.

In a single process nothing here does anything.
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from facerec.training.errors import OptionError

DATA_SET_PATIENCE = timedelta(hours=6)
"""How long the other processes wait while the first one downloads, decodes and crops the pictures."""


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that `torchrun` started, if it did.

    Raises:
        OptionError: there are more of them than GPUs, where there are any.
    """
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    gpus, local = torch.cuda.device_count(), int(os.environ["LOCAL_RANK"])
    if gpus and local >= gpus:
        raise OptionError(f"this machine has {gpus} GPUs: start torchrun with --nproc-per-node={gpus}.")
    if gpus:
        torch.cuda.set_device(local)
    distributed.init_process_group("nccl" if gpus else "gloo", timeout=DATA_SET_PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """The number of this process; process 0 alone evaluates, prints and writes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """The number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def own_shard(batches: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each batch, int64 `[steps, batch]`, the images that this process trains on: every image is one process's."""
    return batches[:, rank() :: world_size()]


@contextlib.contextmanager
def first_process_first() -> Iterator[None]:
    """Let process 0 do what is inside before the others do: they then find what it has written."""
    if distributed.is_initialized() and rank() > 0:
        distributed.barrier()
    yield
    if distributed.is_initialized() and rank() == 0:
        distributed.barrier()


def mean_over_processes(*values: float) -> list[float]:
    """The mean of each value over all processes."""
    tensor = torch.tensor(values, dtype=torch.float64)
    if distributed.is_initialized():
        tensor = tensor.cuda() if torch.cuda.is_available() else tensor
        distributed.all_reduce(tensor)
    return (tensor / world_size()).tolist()
