"""The device that a network is trained on, and its memory."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from facerec.training.errors import FitError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of mallopt(3), from glibc's malloc.h."""


def pick_device() -> torch.device:
    """CUDA if this machine has it, else Apple's MPS, else the CPU. On CUDA, TF32 is turned off for convolutions."""
    if torch.cuda.is_available():
        # Evaluation needs full float32 precision to agree with ONNX Runtime. Training uses bfloat16 autocast anyway.
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next training step instead of returning it to the kernel (mallopt(3)).

    Each step allocates and frees activations of tens of megabytes. By default, glibc maps new pages for each of them,
    and the page faults take a third of a step on a CPU. On systems other than Linux with glibc, this does nothing.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # makes torch use huge pages, which cause fewer page faults
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(M_TOP_PAD, 2**28)


@contextmanager
def explained_out_of_memory(
    advice: str = "free some of it, or train on the CPU (CUDA_VISIBLE_DEVICES=)",
) -> Iterator[None]:
    """Turn the device's lack of memory into an error that says what to do. Also decorates functions.

    Args:
        advice: what to do.

    Raises:
        FitError: the device's memory is too small.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise FitError(f"the device's memory is too small: {advice}. ({error})") from error


def describe_machine(device: torch.device) -> str:
    """The processor or GPU and the version of torch in words, for the report."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "mps":
        name = f"{platform.machine()} GPU (MPS)"
    else:
        name = f"{platform.machine()} CPU, {torch.get_num_threads()} threads on {os.cpu_count()} cores"
    return f"{name}, torch {torch.__version__}"
