"""The device that trains, and its memory."""

import ctypes
import os
import platform
import sys

import torch


def pick_device() -> torch.device:
    """CUDA where there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        # Training asks for bfloat16 itself; what is measured must be as exact as ONNX Runtime's answers.
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next training step instead of giving it back to the kernel.

    Activations of tens of megabytes are allocated and freed at every step; by default each is mapped afresh, and on a
    CPU the page faults cost a third of the step. Does nothing elsewhere than on Linux with glibc (mallopt(3)).
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch then asks for huge pages: fewer faults still
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 2**28)


def describe_machine(device: torch.device) -> str:
    """The machine in words, for the report."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "mps":
        name = f"{platform.machine()} GPU (MPS)"
    else:
        name = f"{platform.machine()} CPU, {torch.get_num_threads()} threads on {os.cpu_count()} cores"
    return f"{name}, torch {torch.__version__}"
