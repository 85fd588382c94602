"""Seconds until the service is ready, and its memory, beside a baseline service.

    uv run -m benchmarks.start                          about 3 minutes
    uv run -m benchmarks.start --times 3 --seconds 5

Leaves `benchmarks/results/start.json` and the table in `benchmarks/README.md`, which explains it. Linux only.
"""

import base64
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import tyro

from benchmarks.load import by_url, client, crops, photo, repeat, upload
from benchmarks.results import publish, table
from benchmarks.services import BASELINE, CENTRE, Service, memory_mb, running


@dataclass(frozen=True)
class Options:
    """Measure start and memory."""

    times: int = 7  # how often each service is started; the table shows medians
    seconds: float = 30  # how long clients send while memory is measured
    clients: int = 16


def main(options: Options) -> None:
    """Start services by turns, measure the memory of one after the other, publish."""
    settings = dict(re.findall(r'key: (\w+)\n +value: "(.*)"', Path("render.yaml").read_text()))
    allocator = dict(re.findall(r"(MALLOC_\w+)=(\d+)", Path("Dockerfile").read_text()))
    on_render = replace(CENTRE, name=f"{CENTRE.name} as on Render", variables=CENTRE.variables | settings | allocator)
    services = (CENTRE, on_render, BASELINE)
    starts = [[measure_start(service) for service in services] for _ in range(options.times)]
    rows: list[dict[str, Any]] = [
        {"service": service.name, "start_seconds": median(seconds), **measure_memory(service, options)}
        for service, seconds in zip(services, zip(*starts, strict=True), strict=True)
    ]
    peak = f"MB at the peak, {options.clients} clients"
    columns = ("", "seconds until ready", "MB when ready", peak, "answered", "refused", "failed")
    publish("start", {"services": rows}, table(columns, [[*row.values()] for row in rows]))


def measure_start(service: Service) -> float:
    """Seconds from the start of the process until it listens, which uvicorn does once the application is ready."""
    start = time.perf_counter()
    with running(service):
        return time.perf_counter() - start


def measure_memory(service: Service, options: Options) -> dict[str, float]:
    """Memory in MB, when ready and at its peak, and the numbers of answers with 200, with 503, and others.

    Clients send pictures of 0.06 to 12 megapixels by turns, as uploads and, except to the baseline, as data: URLs.
    """
    crop = crops(1)[0]
    files = [crop, photo(crop, 1200, 1600), photo(crop, 2000, 1500, "PNG"), photo(crop, 4000, 3000)]
    requests = [upload(file, service.fields) for file in files]
    if service is not BASELINE:
        urls = [f"data:image/jpeg;base64,{base64.b64encode(file).decode()}" for file in files]
        requests += [by_url(url, service.fields) for url in urls]
    with running(service) as (pid, port):
        ready_mb = memory_mb(pid, "VmRSS")
        answers = repeat([client(port, requests) for _ in range(options.clients)], seconds=options.seconds)
        peak_mb = memory_mb(pid, "VmHWM")
    answered, refused = (sum(answer.status == status for answer in answers) for status in (200, 503))
    failed = len(answers) - answered - refused
    return {"ready_mb": ready_mb, "peak_mb": peak_mb, "answered": answered, "refused": refused, "failed": failed}


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
