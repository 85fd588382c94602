"""The networks of the model files, each alone on one thread, beside those of an older version.

    git worktree add ../older 0b1863d
    uv run -m benchmarks.models --older ../older/model          10 seconds

Leaves `benchmarks/results/models.json` and the table in `benchmarks/README.md`, which explains it.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import tyro
from tqdm import tqdm

from benchmarks.results import publish, table
from tests.shipped import ROOT

DETECTOR_PIXELS = 256
"""Side of the picture in which a detector looks for faces. Other networks have inputs of one size."""


@dataclass(frozen=True)
class Options:
    """Measure the networks of model files."""

    older: Path | None = None  # folder of an older version's model files
    rounds: int = 200  # how often each network runs; the table shows medians


def main(options: Options) -> None:
    """Measure by turns, take medians, publish."""
    folders = {"this version": ROOT / "model"} | ({"older": options.older} if options.older else {})
    files = [(version, file) for version, folder in folders.items() for file in sorted(folder.glob("*.onnx"))]
    networks = [load(file) for _, file in files]
    seconds: list[list[float]] = [[] for _ in files]
    for _ in tqdm(range(options.rounds), desc="Rounds"):
        for (session, inputs), measured in zip(networks, seconds, strict=True):
            start = time.perf_counter()
            session.run(None, inputs)
            measured.append(time.perf_counter() - start)
    rows: list[dict[str, str | float]] = [
        {
            "version": version,
            "file": file.name,
            "input": " x ".join(map(str, next(iter(inputs.values())).shape[-3:-1])),
            "mb": file.stat().st_size / 1e6,
            "ms": 1000 * median(measured),
        }
        for (version, file), (_, inputs), measured in zip(files, networks, seconds, strict=True)
    ]
    columns = ("version", "file", "input, pixels", "MB", "ms")
    listed = table(columns, [[*row.values()] for row in rows])
    publish("models", {"networks": rows}, listed, packages=("numpy", "onnxruntime"))


def load(file: Path) -> tuple[onnxruntime.InferenceSession, dict[str, np.ndarray]]:
    """The network in a file, on one thread, and random pixels for it: one face, or one picture for a detector."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options)
    (described,) = session.get_inputs()
    shape = [size if isinstance(size, int) else DETECTOR_PIXELS for size in described.shape]
    if len(shape) == 4:
        shape[0] = 1
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    return session, {described.name: pixels}


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
