"""Training in several processes, one per GPU, which `torchrun` starts.

Without `torchrun` there is one process of rank 0, and nothing here waits or communicates.
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

DATASET_TIMEOUT = timedelta(hours=6)
"""Longest time that processes wait for each other. Process 0 may need hours to download, decode and crop a data set."""


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """Connect the processes that `torchrun` started, through NCCL if there are GPUs and Gloo if not.

    Raises:
        OptionError: this machine has GPUs, but fewer than processes.
    """
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    gpus, local_rank = torch.cuda.device_count(), int(os.environ["LOCAL_RANK"])
    if gpus and local_rank >= gpus:
        raise OptionError(f"this machine has {gpus} GPUs: start torchrun with --nproc-per-node={gpus}.")
    if gpus:
        torch.cuda.set_device(local_rank)
    distributed.init_process_group("nccl" if gpus else "gloo", timeout=DATASET_TIMEOUT)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """The number of this process, from 0. Only process 0 evaluates, prints and writes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """The number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def own_shard(batches: NDArray[np.int64]) -> NDArray[np.int64]:
    """The images that this process trains on: a part of each batch, so that each image is in one process's part.

    Args:
        batches: int64 `[steps, batch]`, indices of images.

    Returns:
        int64 `[steps, shard]`. The shards of a batch differ in length by at most one image.
    """
    return batches[:, rank() :: world_size()]


@contextlib.contextmanager
def first_process_first() -> Iterator[None]:
    """Run the block in process 0 before the other processes run it, so that they find the files that it wrote."""
    if distributed.is_initialized() and rank() > 0:
        distributed.barrier()
    yield
    if distributed.is_initialized() and rank() == 0:
        distributed.barrier()


def mean_over_processes(*values: float) -> list[float]:
    """The mean of each value over all processes. Every process must call this with the same number of values."""
    tensor = torch.tensor(values, dtype=torch.float64)
    if distributed.is_initialized():
        tensor = tensor.cuda() if torch.cuda.is_available() else tensor
        distributed.all_reduce(tensor)
    return (tensor / world_size()).tolist()
