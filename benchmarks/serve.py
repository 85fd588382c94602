"""The service under load, against the limit of the machine and against what one would use instead.

    uv run -m benchmarks.serve                                 about 11 minutes
    uv run -m benchmarks.serve --seconds 5 --clients 16 --only ours obvious

Leaves `benchmarks/results/serve.json` and the tables in `benchmarks/README.md`, which says what they mean. Linux only.
"""

import os
import statistics
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import tyro
from pydantic import JsonValue
from tqdm import tqdm

from benchmarks.contenders import CONTENDERS, SHARED, Absent, Key, python_for, versions
from benchmarks.measure import Cell, Figures, World
from benchmarks.pictures import crops, photo
from benchmarks.results import installed, publish
from benchmarks.serve_tables import tables


@dataclass(frozen=True)
class Options:
    """Measure the service under load."""

    seconds: float = 1.2
    """How long clients send, for each figure in each round."""
    rounds: int = 3
    """How often everything is measured, by turns; the tables have the medians."""
    clients: tuple[int, ...] = (1, 4, 16, 64)
    only: tuple[Key, ...] = ("ours", "auto", "obvious", "litserve", "bentoml")
    """Which services to measure."""
    cpus: int = 2
    """How many CPUs services and clients share: the first ones that this process may use."""


def main(options: Options) -> None:
    """Measure by turns, take medians, publish."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cpus])
    small = crops(16)
    sent = {"250 px crops": small, "12-megapixel photo": [photo(small[0], 4000, 3000)]}
    samples: dict[Cell, list[Figures]] = defaultdict(list)
    absent: dict[str, JsonValue] = {}
    with tempfile.TemporaryDirectory() as folder, World(sent, options.clients, options.seconds) as world:
        for _ in tqdm(range(options.rounds), desc="Rounds"):
            for limit in dict.fromkeys(CONTENDERS[key].limit for key in options.only):
                for cell, figures in world.measure_limit(limit, cpus=options.cpus):
                    samples[cell].append(figures)
            for key in [key for key in options.only if CONTENDERS[key].name not in absent]:
                contender = CONTENDERS[key]
                try:
                    for cell, figures in world.measure(contender, python_for(contender, Path(folder))):
                        samples[cell].append(figures)
                except Absent as error:
                    absent[contender.name] = str(error)
        packages = installed("fastapi", "uvicorn", *SHARED) | versions(Path(folder))
    medians = {cell: median(rounds) for cell, rounds in samples.items()}
    publish(
        "serve",
        {"cells": [asdict(cell) | asdict(medians[cell]) for cell in medians], "absent": absent},
        tables(medians, absent),
        packages=packages,
    )


def median(rounds: list[Figures]) -> Figures:
    """The median of each figure."""
    return Figures(
        **{each.name: statistics.median(getattr(figures, each.name) for figures in rounds) for each in fields(Figures)}
    )


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
