import platform
import subprocess
import sys

import psutil
import pytest

from facerec.inference.memory import mapped_memory, release_freed_memory
from tests.harness import ROOT


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to")
def test_memory_that_was_freed_is_given_back() -> None:
    blocks = [bytearray(b"x" * 100_000) for _ in range(1000)]  # too small to be mapped one by one
    del blocks[:-1]  # the last one keeps the heap from shrinking by itself
    before = psutil.Process().memory_info().rss
    release_freed_memory()
    assert before - psutil.Process().memory_info().rss > 50e6


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_mapped_memory_is_what_was_allocated() -> None:
    before = mapped_memory()
    block = bytearray(200_000_000)
    assert mapped_memory() - before == pytest.approx(len(block), rel=0.1)


def test_a_crowd_of_faces_takes_no_more_memory_than_one() -> None:
    """In a process of its own, as others may have left memory to take it from."""
    measured = subprocess.run(
        [sys.executable, "-c", CROWD, str(ROOT / "model/face_recognition.onnx")],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    alone, crowd = map(float, measured.stdout.split())
    assert crowd - alone < 20e6


CROWD = """
import sys
from pathlib import Path
import numpy as np, psutil
from facerec.inference.recognizer import FaceRecognizer

recognizer = FaceRecognizer.load(Path(sys.argv[1]), threads=1)
size = recognizer.metadata.crop_size
crowd = np.zeros((20, size, size, 3), np.uint8)
for crops in (crowd[:1], crowd):
    recognizer.recognize(crops)
    print(psutil.Process().memory_info().rss)
"""
