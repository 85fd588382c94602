"""Memory of this process: what it has mapped, and what it has freed but the C library still holds."""

import ctypes
import gc
import platform
import sys
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def limit_freed_memory(*, block_bytes: int, total_bytes: int) -> None:
    """Let glibc keep only so much freed memory for later allocations, and return the rest to the operating system.

    glibc would raise its own limits whenever a large block is freed, and from then on keep the memory of large pictures
    (mallopt(3)). Does nothing on systems without glibc.

    Args:
        block_bytes: larger blocks are always returned.
        total_bytes: free memory at the end of the heap that is kept.
    """
    if _has_glibc():
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, block_bytes)
        libc.mallopt(_M_TRIM_THRESHOLD, total_bytes)


def release_freed_memory() -> None:
    """Free objects in reference cycles, and return freed memory to the operating system (malloc_trim(3)).

    An exception and the frames of its traceback can refer to each other, and the frames to a whole picture. Python's
    garbage collector counts objects, not their bytes, and would keep gigabytes of them.
    """
    gc.collect()
    if _has_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def mapped_memory() -> int:
    """Bytes that count to the limit RLIMIT_DATA: VmData of proc_pid_status(5). 0 on systems other than Linux."""
    if sys.platform != "linux":
        return 0
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmData"].split()[0]) * 1024


def _has_glibc() -> bool:
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
