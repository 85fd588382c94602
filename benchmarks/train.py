"""The speed of training, against the bare step that it is made around, and of the preparation of the data.

    uv run -m benchmarks.train                          about 6 minutes on two CPU cores
    uv run -m benchmarks.train --data my_people/ --min-images 5

Prepares LFW, which `train.py` has downloaded to data/lfw-funneled.tgz, or another archive or folder of people, in a
temporary folder (5 GB). Leaves `benchmarks/results/train.json` and the tables in `benchmarks/README.md`, which says
what they mean.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

from benchmarks.pictures import LFW
from benchmarks.processes import ROOT
from benchmarks.results import installed, publish, table
from facerec.training.dataset import load_dataset, load_detector


@dataclass(frozen=True)
class Options:
    """Measure the speed of training."""

    data: Path = LFW
    """Archive or folder of people."""
    min_images: int = 20
    """People with this many pictures or more are known, at least 5."""
    rounds: int = 3
    """How often everything is measured, by turns; the tables have the medians."""
    steps: int = 12
    """How many steps of 64 images a measurement takes."""
    processes: tuple[int, ...] = (1, 2)
    """Numbers of processes to train in: one per GPU, or on a CPU up to one per core."""


@dataclass(frozen=True)
class Speed:
    """Images per second, all processes together."""

    processes: int
    bare: float
    real: float


def main(options: Options) -> None:
    """Prepare, measure by turns, take medians, publish."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        pictures = len(load_dataset(options.data, data_dir=Path(folder)).paths)
        preparation = time.perf_counter() - start
        start = time.perf_counter()
        load_dataset(options.data, data_dir=Path(folder), detector=load_detector(ROOT / "model/face_detector.onnx"))
        framing = time.perf_counter() - start
        measured = [
            measure(options, Path(folder), processes)
            for _ in tqdm(range(options.rounds), desc="Rounds")
            for processes in options.processes
        ]
    speeds = list(medians(measured))
    report = json.loads((ROOT / "model/report.json").read_text())
    publish(
        "train",
        {
            "preparation": {"pictures": pictures, "seconds": preparation, "framing_seconds": framing},
            "speeds": [asdict(speed) for speed in speeds],
        },
        "\n\n".join((speed_table(speeds), preparation_line(pictures, preparation, framing), report_line(report))),
        packages=installed("torch", "torchvision", "numpy", "pillow"),
    )


def measure(options: Options, folder: Path, processes: int) -> Speed:
    """One round in `processes` processes."""
    torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    command = [
        *(sys.executable, "-m", *(torchrun if processes > 1 else ()), "benchmarks.train_steps"),
        *("--data", options.data, "--data-dir", folder),
        *("--min-images", str(options.min_images), "--steps", str(options.steps)),
    ]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Speed(processes, **json.loads(done.stdout.splitlines()[-1]))


def medians(measured: list[Speed]) -> Iterator[Speed]:
    """The medians over the rounds."""
    for processes in dict.fromkeys(speed.processes for speed in measured):
        alike = [speed for speed in measured if speed.processes == processes]
        bare, real = (statistics.median(getattr(speed, name) for speed in alike) for name in ("bare", "real"))
        yield Speed(processes, bare, real)


def speed_table(speeds: list[Speed]) -> str:
    """The loop beside the bare step."""
    columns = ("processes", "training, images/s", "bare step, images/s", "of the bare step")
    rows: list[list[str | float]] = [
        [each.processes, each.real, each.bare, f"{each.real / each.bare:.0%}"] for each in speeds
    ]
    return table(columns, rows)


def preparation_line(pictures: int, seconds: float, framing: float) -> str:
    """How long it took to come from an archive to crops, of the centres and of the faces."""
    return (
        f"From the archive to the memory map of crops, once per data set: {seconds:.0f} s for {pictures:,} pictures "
        f"({pictures / seconds:,.0f} a second), extraction and writing included. Finding the faces in them and cutting "
        f"these out, once per data set and detector: another {framing:.0f} s."
    )


def report_line(report: dict[str, Any]) -> str:
    """How long the shipped model took; from its report, not from this run."""
    epoch = report["best_epoch"]
    seconds = sum(each["seconds"] for each in report["history"][:epoch])
    return (
        f"Not measured here, but taken from model/report.json: the shipped model came to its test accuracy of "
        f"{report['figures']['top_1']['value']:.2%} in {seconds / 60:.0f} minutes ({epoch} epochs with their "
        f"validation, {report['training_images_per_second']:.0f} images/s over all of it) on {report['machine']}."
    )


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
