"""Memory that the process has freed but the C library still holds."""

import ctypes
import gc
import platform
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 16 * 2**20
"""Freed memory that glibc keeps for the next allocation. The detector needs it for each picture, and mapping it anew
would take an eighth of the time."""


def keep_little_freed_memory() -> None:
    """Make glibc return freed memory to the operating system, except the last 16 MiB.

    glibc raises its thresholds whenever a large block is freed, up to 32 and 64 MiB, and from then on keeps the memory
    of large pictures (mallopt(3)). Does nothing on systems without glibc.
    """
    if _has_glibc():
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def release_freed_memory() -> None:
    """Free objects in reference cycles, and return freed memory to the operating system (malloc_trim(3)).

    An exception and the frames of its traceback can refer to each other, and the frames to a whole picture. Python's
    garbage collector counts objects, not their bytes, and would keep gigabytes of them.
    """
    gc.collect()
    if _has_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _has_glibc() -> bool:
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
