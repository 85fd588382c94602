"""Peak memory of the service while 16 clients send photos.

    uv run benchmarks/memory.py
    FACEREC_MAX_RECOGNITIONS=1 FACEREC_THREADS=1 uv run benchmarks/memory.py --seconds 60

Starts `predict.py` with the environment's settings, sends pictures of 0.06 to 12 megapixels by turns as uploads and as
data: URLs, and prints the process's memory when ready and at its peak (VmRSS and VmHWM, proc(5): Linux only).
"""

import base64
import io
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests
import tyro
from PIL import Image

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Options:
    """Peak memory of the service while clients send photos."""

    clients: int = 16
    seconds: float = 30
    port: int = 18123


def main(options: Options) -> None:
    """Start, load, print."""
    address = f"http://127.0.0.1:{options.port}"
    environment = os.environ | {"PORT": str(options.port)}
    with subprocess.Popen(
        [sys.executable, "predict.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    ) as service:
        try:
            wait_until_ready(address, service)
            at_rest = memory(service, "VmRSS")
            photos = [photo(250, 250), photo(1200, 1600), photo(2000, 1500, "PNG"), photo(4000, 3000)]
            end = time.monotonic() + options.seconds
            with ThreadPoolExecutor(options.clients) as pool:
                outcomes = pool.map(lambda number: send(address, photos, number, end), range(options.clients))
                statuses = sum(outcomes, Counter[int]())
            print(f"memory when ready: {at_rest} MB, at its peak: {memory(service, 'VmHWM')} MB")
            print("answers by status:", ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())))
        finally:
            service.terminate()


def wait_until_ready(address: str, service: "subprocess.Popen[bytes]") -> None:
    """Poll until the service answers that it is ready."""
    while service.poll() is None:
        try:
            if requests.get(f"{address}/readyz", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise SystemExit("the service did not start")


def photo(width: int, height: int, file_format: str = "JPEG") -> bytes:
    """A picture file of smooth random colours."""
    coarse = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(file, file_format)
    return file.getvalue()


def send(address: str, photos: list[bytes], number: int, end: float) -> Counter[int]:
    """Send photos one after the other until `end`; count the answers' statuses."""
    statuses = Counter[int]()
    with requests.Session() as session:
        while time.monotonic() < end:
            number += 1
            content = photos[number % len(photos)]
            if number % 2:
                answer = session.post(f"{address}/predict/upload", files={"file": content}, timeout=60)
            else:
                url = "data:image/jpeg;base64," + base64.b64encode(content).decode()
                answer = session.post(f"{address}/predict", json={"url": url}, timeout=60)
            statuses[answer.status_code] += 1
    return statuses


def memory(service: "subprocess.Popen[bytes]", field: str) -> int:
    """A field of the process's status in megabytes."""
    lines = Path(f"/proc/{service.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1000 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
