"""Memory that the process no longer needs."""

import ctypes
import platform
import sys


def give_back_freed_memory() -> None:
    """Give back to the system what was freed since, for example copies of a model that loading made.

    By itself glibc keeps it: 40 MB once both models are loaded. Does nothing elsewhere (malloc_trim(3)).
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
