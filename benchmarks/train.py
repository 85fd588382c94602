"""The speed of training beside the bare step that it is made around, and of the preparation of the data.

    uv run -m benchmarks.train                          about 6 minutes on two CPU cores
    uv run -m benchmarks.train --data my_people/ --min-images 5

Prepares LFW, which `train.py` has downloaded to data/lfw-funneled.tgz, or another archive or folder of people, in a
temporary folder (5 GB). Leaves `benchmarks/results/train.json` and the tables in `benchmarks/README.md`.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import tyro
from tqdm import tqdm

from benchmarks.results import publish, table
from facerec.training.croppers import load_cropper
from facerec.training.dataset import load_dataset
from facerec.training.options import RecognizerDataOptions, RecognizerModelOptions
from tests.shipped import DETECTOR, LANDMARKS, LFW


@dataclass(frozen=True)
class Options:
    """Measure the speed of training."""

    data: Path = LFW  # archive or folder of people
    min_images: int = 20  # pictures that a person needs to be known, at least 5
    rounds: int = 3  # how often everything is measured, by turns; the table shows medians
    steps: int = 12  # steps of 64 images in each measurement
    processes: tuple[int, ...] = (1, 2)  # to train in: one per GPU, or on a CPU up to one per core


def main(options: Options) -> None:
    """Prepare, measure by turns, take medians, publish."""
    detecting = load_cropper(
        RecognizerDataOptions(detector=DETECTOR, landmarks=LANDMARKS), RecognizerModelOptions(teacher="none")
    )
    croppers = {"archive to crops of the centre": None, "crops of the detected faces": detecting}
    preparation: list[dict[str, str | float]] = []
    rounds: dict[int, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for name, cropper in croppers.items():
            start = time.perf_counter()
            pictures = len(load_dataset(options.data, data_dir=Path(folder), cropper=cropper).paths)
            preparation.append({"step": name, "pictures": pictures, "seconds": time.perf_counter() - start})
        for _ in tqdm(range(options.rounds), desc="Rounds"):
            for processes in options.processes:
                rounds[processes].append(measure_speeds(processes, folder, options))
    speeds = [
        {"processes": processes} | {name: median(speed[name] for speed in speeds) for name in ("real", "bare")}
        for processes, speeds in rounds.items()
    ]
    columns = ("processes", "training, images/s", "bare step, images/s", "of the bare step")
    rows = [[*each.values(), f"{each['real'] / each['bare']:.0%}"] for each in speeds]
    prepared = table(("preparation", "pictures", "seconds"), [[*each.values()] for each in preparation])
    publish("train", {"speeds": speeds, "preparation": preparation}, f"{table(columns, rows)}\n\n{prepared}")


def measure_speeds(processes: int, folder: str, options: Options) -> dict[str, float]:
    """Images per second, all `processes` together, of training (`real`) and of the bare step (`bare`)."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    data = ["--data", str(options.data), "--data-dir", folder, "--min-images", str(options.min_images)]
    command = [*torchrun, "-m", "benchmarks.train_steps", *data, "--steps", str(options.steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    speeds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return speeds


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
