"""Pictures a second of labelling an archive, beside a bare loop, and how it bears a million pictures.

    uv run -m benchmarks.label                          about 10 minutes
    uv run -m benchmarks.label --pictures 200 --rounds 1 --simulated 10000

Leaves `benchmarks/results/label.json` and the tables in `benchmarks/README.md`, which explains them. Linux only.
"""

import itertools
import multiprocessing
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

import psutil
import tyro

from benchmarks.results import publish, table
from benchmarks.services import memory_mb
from benchmarks.simulated_archive import simulate
from facerec.inference.cpus import available_cpus
from facerec.inference.detector import FaceDetector
from facerec.inference.jobs import WorkerOptions
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import ACCURATE_RECOGNIZER_FILE, DETECTOR_FILE, LANDMARKS_FILE
from facerec.inference.pipeline import Pipeline
from facerec.inference.recognizer import FaceRecognizer
from facerec.inference.results import Trace
from facerec.labelling.archive import People
from facerec.labelling.found import FoundPicture
from facerec.labelling.label_folder import LabelFolder
from facerec.labelling.labeller import Labeller
from facerec.labelling.part_file import Origin

_MODELS = Path("model").absolute()
_PROCESSES = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Options:
    """Measure throughput and scale."""

    data: Path = Path("data/lfw")  # folder in which the pictures are searched for
    pictures: int = 1000  # how many of them are labelled
    rounds: int = 5  # parts of the pictures, each labelled and looped over by turns; the table shows medians
    workers: int = available_cpus()
    simulated: int = 1_000_000  # pictures of the simulated archive
    model: str = ACCURATE_RECOGNIZER_FILE


def main(options: Options) -> None:
    """Label and loop by turns, simulate, publish."""
    found = itertools.islice(sorted(options.data.rglob("*.jpg")), options.pictures)
    pictures = [str(path.absolute()) for path in found]
    parts = [pictures[start :: options.rounds] for start in range(options.rounds)]
    rounds = [(bare_loop(part, options), label_pictures(part, options)) for part in parts]
    throughput = table(
        ("", "pictures/s", "of the bare loop", "CPU ms", "of the bare loop", "MB after a quarter", "MB at the end"),
        [throughput_row("bare loop", 0, rounds), throughput_row("labelling", 1, rounds)],
    )
    with tempfile.TemporaryDirectory(dir=".") as folder:
        steps = simulate(_MODELS / options.model, options.simulated, Path(folder))
    scale = table(
        (f"{options.simulated:,} pictures", "seconds", "peak MB"),
        [[step["step"], step["seconds"], step["peak_mb"]] for step in steps],
    )
    results = {"workers": options.workers, "rounds": rounds, "scale": steps}
    publish("label", results, f"{throughput}\n\n{scale}", packages=("numpy", "onnxruntime", "pillow", "pyarrow"))


Measured = dict[str, float]
"""`speed` in pictures a second, `cpu_ms` of all processes for a picture, `quarter_mb` and `end_mb` of their memory."""


def throughput_row(name: str, column: int, rounds: list[tuple[Measured, Measured]]) -> list[str | float | None]:
    """The medians of one of the two, and how they compare in the same round."""

    def compared(key: str) -> str:
        return f"{median(both[column][key] / both[0][key] for both in rounds):.0%}"

    speed, cpu = (median(both[column][key] for both in rounds) for key in ("speed", "cpu_ms"))
    last = rounds[-1][column]
    memory = [last.get("quarter_mb"), last.get("end_mb")]
    return [name, speed, compared("speed"), cpu, compared("cpu_ms"), *memory]


def worker_options(options: Options) -> WorkerOptions:
    """The shipped models."""
    return WorkerOptions(
        recognizer=_MODELS / options.model,
        detector=_MODELS / DETECTOR_FILE,
        landmarks=_MODELS / LANDMARKS_FILE,
        threads=1,
        max_bytes=10**8,
        max_pixels=25_000_000,
        max_faces=20,
        memory_bytes=2**30,
        cpu_seconds=30,
    )


def label_pictures(pictures: list[str], options: Options) -> Measured:
    """Labelling from the first picture to the last part."""
    folder = Path(tempfile.mkdtemp(dir="."))
    quarter = 0.0
    with Labeller(worker_options(options), workers=options.workers) as labeller:
        matcher = People(gallery=folder / "people.sqlite").matcher(labeller.models)
        origin = Origin.of(labeller.models, matcher.checksum)
        start, cpu = time.perf_counter(), cpu_seconds()
        found = (FoundPicture(path, os.stat(path).st_size, 0) for path in pictures)  # noqa: PTH116
        done = 0
        with LabelFolder(folder, labeller.schema, origin, matcher) as labels:
            for batch in labeller.label(found, matcher):
                labels.write(batch)
                done += len(batch)
                if not quarter and done >= len(pictures) / 4:
                    quarter = memory_mb(os.getpid(), "VmRSS")
        seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
        end = memory_mb(os.getpid(), "VmRSS")
    shutil.rmtree(folder)
    return {
        "speed": len(pictures) / seconds,
        "cpu_ms": 1000 * cpu / len(pictures),
        "quarter_mb": quarter,
        "end_mb": end,
    }


def cpu_seconds() -> float:
    """CPU time of this process and its children that run."""
    process = psutil.Process()
    times = [each.cpu_times() for each in (process, *process.children())]
    return sum(each.user + each.system for each in times)


def bare_loop(pictures: list[str], options: Options) -> Measured:
    """As many processes that do nothing but read, decode, detect and recognize."""
    barrier, following = _PROCESSES.Barrier(options.workers + 1), _PROCESSES.Value("i", 0)
    cpu = _PROCESSES.Value("d", 0)
    arguments = (pictures, worker_options(options), barrier, following, cpu)
    processes = [_PROCESSES.Process(target=_loop, args=arguments) for _ in range(options.workers)]
    for process in processes:
        process.start()
    barrier.wait()
    start = time.perf_counter()
    for process in processes:
        process.join()
    seconds = time.perf_counter() - start
    return {"speed": len(pictures) / seconds, "cpu_ms": 1000 * cpu.value / len(pictures)}


def _loop(
    pictures: list[str],
    options: WorkerOptions,
    barrier: Barrier,
    following: "Synchronized[int]",
    cpu: "Synchronized[float]",
) -> None:
    pipeline = Pipeline(
        FaceRecognizer.load(options.recognizer, threads=1),
        FaceDetector.load(options.detector, threads=1),
        LandmarkPredictor.load(options.landmarks, threads=1),
        max_bytes=options.max_bytes,
        max_pixels=options.max_pixels,
        max_faces=options.max_faces,
    )
    barrier.wait()
    start = time.process_time()
    while True:
        with following.get_lock():
            index = following.value
            following.value += 1
        if index >= len(pictures):
            break
        pipeline.recognize(Path(pictures[index]).read_bytes, "detect", Trace())
    with cpu.get_lock():
        cpu.value += time.process_time() - start


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
