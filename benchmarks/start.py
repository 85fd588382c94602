"""What the service takes before and while it serves: time to start, imports, memory, disk.

    uv run -m benchmarks.start                          about 3 minutes
    uv run -m benchmarks.start --times 3 --seconds 5

Installs what serving needs in a temporary folder. Leaves `benchmarks/results/start.json` and the tables in
`benchmarks/README.md`, which says what they mean. Linux only.
"""

import base64
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from multiprocessing import get_context
from pathlib import Path

import tyro

from benchmarks.contenders import CONTENDERS, SHARED, Contender, serving
from benchmarks.load import by_url, load, upload
from benchmarks.pictures import crops, photo
from benchmarks.processes import ROOT, peak_megabytes, resident_megabytes
from benchmarks.results import installed, publish, table

MOST = 8
"""How many packages are listed by name."""


@dataclass(frozen=True)
class Options:
    """Measure start, memory and disk."""

    times: int = 7
    """How often each is started; the table has the medians."""
    seconds: float = 30
    """How long clients send while memory is watched."""
    clients: int = 16


@dataclass(frozen=True)
class Memory:
    """Megabytes of a service when ready and at its peak, and the answers meanwhile."""

    service: str
    ready_mb: float
    peak_mb: float
    answered: int
    refused: int
    failed: int


def main(options: Options) -> None:
    """Measure one after the other, publish."""
    ours, obvious = CONTENDERS["ours"], CONTENDERS["obvious"]
    starts: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.times):
        for contender in (ours, obvious):
            starts[contender.name].append(start_seconds(contender))
    seconds = {name: statistics.median(each) for name, each in starts.items()}
    imports = import_milliseconds(options.times)
    memories = [
        watch_memory(ours, "this service", {}, options),
        watch_memory(ours, "this service as on Render", blueprint(), options),
        watch_memory(obvious, "the obvious service", {}, options),
    ]
    sizes = installed_megabytes()
    publish(
        "start",
        {
            "start_seconds": dict(seconds),
            "import_ms": dict(imports),
            "memory": [asdict(memory) for memory in memories],
            "installed_mb": dict(sizes),
        },
        "\n\n".join(
            (
                table(("", "seconds until ready"), list(seconds.items())),
                table(("import of", "ms"), most(imports)),
                table(
                    (
                        "",
                        "MB when ready",
                        f"MB at the peak, {options.clients} clients",
                        "answered",
                        "refused",
                        "failed",
                    ),
                    [list(asdict(memory).values()) for memory in memories],
                ),
                table(("installed for serving", "MB"), most(sizes)),
            )
        ),
        packages=installed("fastapi", "uvicorn", *SHARED),
    )


def start_seconds(contender: Contender) -> float:
    """From the start of the process until it listens, which uvicorn does once the application is ready."""
    start = time.perf_counter()
    with serving(contender, Path(sys.executable), pictures_port=1):
        return time.perf_counter() - start


def import_milliseconds(times: int) -> dict[str, float]:
    """What the modules of each package add to `import predict`, without what they import of others."""
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(times):
        command = [sys.executable, "-X", "importtime", "-c", "import predict"]
        lines = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=True).stderr
        once = Counter[str]()
        for microseconds, module in re.findall(r"^import time: +(\d+) \| +\d+ \| +(\S+)$", lines, re.MULTILINE):
            package = module.partition(".")[0]
            once["the standard library" if package in sys.stdlib_module_names else package] += int(microseconds)
        for package, microseconds in once.items():
            taken[package].append(microseconds / 1000)
    return {package: statistics.median(each) for package, each in taken.items()}


def blueprint() -> dict[str, str]:
    """Settings and allocator of the container on Render."""
    settings = dict(re.findall(r'key: (\w+)\n +value: "(.*)"', (ROOT / "render.yaml").read_text()))
    allocator = dict(re.findall(r"(MALLOC_\w+)=(\d+)", (ROOT / "Dockerfile").read_text()))
    return settings | allocator


def watch_memory(contender: Contender, name: str, variables: Mapping[str, str], options: Options) -> Memory:
    """Send pictures of 0.06 to 12 megapixels by turns, as uploads and, where the service takes them, as data: URLs."""
    crop = crops(1)[0]
    photos = [crop, photo(crop, 1200, 1600), photo(crop, 2000, 1500, "PNG"), photo(crop, 4000, 3000)]
    requests = [upload(contender.upload_path, picture, contender.fields) for picture in photos]
    if contender is CONTENDERS["ours"]:
        urls = [f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" for picture in photos]
        requests += [by_url("/predict", url, contender.fields) for url in urls]
    started = serving(contender, Path(sys.executable), pictures_port=1, variables=variables)
    with started as (pid, port), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        ready = resident_megabytes(pid)
        outcome = process.submit(load, port, requests, clients=options.clients, seconds=options.seconds).result()
        return Memory(name, ready, peak_megabytes(pid), len(outcome.answered), outcome.refused, outcome.failed)


def installed_megabytes() -> dict[str, float]:
    """The files that `uv sync --no-default-groups` installs, by package."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": folder}
        command = ["uv", "sync", "--quiet", "--frozen", "--no-default-groups", "--python", sys.executable]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        return {
            package.name: sum(Path(file.locate()).stat().st_size for file in package.files or ()) / 1e6
            for package in distributions(path=[str(path) for path in Path(folder).glob("lib/*/site-packages")])
        }


def most(amounts: Mapping[str, float]) -> list[list[str | float]]:
    """The largest amounts, the sum of the others, and the sum of all."""
    named = sorted(amounts.items(), key=lambda item: -item[1])
    rest = sum(amount for _, amount in named[MOST:])
    return [[*each] for each in (*named[:MOST], ("others", rest), ("together", sum(amounts.values())))]


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
