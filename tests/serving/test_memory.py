import platform

import psutil
import pytest

from facerec.serving.memory import give_back_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to")
def test_memory_that_was_freed_is_given_back() -> None:
    blocks = [bytearray(b"x" * 100_000) for _ in range(1000)]  # too small to be mapped one by one
    del blocks[:-1]  # the last one keeps the heap from shrinking by itself
    before = psutil.Process().memory_info().rss
    give_back_freed_memory()
    assert before - psutil.Process().memory_info().rss > 50e6
