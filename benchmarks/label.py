"""Pictures a second of labelling an archive, beside a bare loop, and how it bears a million pictures.

    uv run -m benchmarks.label                          about 10 minutes
    uv run -m benchmarks.label --pictures 200 --rounds 1 --simulated 10000

Leaves `benchmarks/results/label.json` and the tables in `benchmarks/README.md`, which explains them. Linux only.
"""

import itertools
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import tyro

from benchmarks.results import publish, table
from benchmarks.services import memory_mb
from facerec.inference.cpus import available_cpus
from facerec.inference.cropping import Face
from facerec.inference.detector import FaceDetector
from facerec.inference.jobs import WorkerOptions
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import ACCURATE_RECOGNIZER_FILE, DETECTOR_FILE, LANDMARKS_FILE
from facerec.inference.pipeline import Pipeline
from facerec.inference.recognizer import FaceRecognizer
from facerec.inference.results import ModelOutput, PictureResult, Trace
from facerec.labelling.archive import People
from facerec.labelling.found import FoundPicture
from facerec.labelling.label_folder import LabelFolder
from facerec.labelling.labeller import Labeller, RecognizedPicture, picture_rows
from facerec.labelling.matching import Matcher
from facerec.labelling.part_file import Origin
from facerec.labelling.rows import label_schema, to_batch
from facerec.people.gallery import Known, Snapshot

_MODELS = Path("model").absolute()
_PROCESSES = multiprocessing.get_context("spawn")
_BATCH = 500


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
        steps = [in_process(partial(step, Path(folder), options)) for step in (write_rows, scan, scan_changed)]
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
        matcher = People(gallery=folder / "people.sqlite").matcher(labeller)
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


def in_process(step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a step in a process of its own, and the peak of that process's memory."""
    with _PROCESSES.Pool(1) as pool:
        return pool.apply(_with_peak, (step,))


def _with_peak(step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    result = step()
    return {**result, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}


def write_rows(folder: Path, options: Options) -> dict[str, Any]:
    """Write the rows of an archive of one face a picture, which no worker has seen."""
    start = time.perf_counter()
    recognizer, matcher, origin = _stub(options)
    schema = label_schema(recognizer.metadata.embedding_size)
    results = _recognized(options.simulated, recognizer.metadata.embedding_size)
    with LabelFolder(folder / "labels", schema, origin, matcher) as labels:
        while batch := list(itertools.islice(results, _BATCH)):
            rows = [row for each in batch for row in picture_rows(each, matcher, recognizer.checksum)]
            labels.write(to_batch(rows, schema))
    return {"step": "matching and writing", "seconds": time.perf_counter() - start}


def scan(folder: Path, options: Options, *, matcher: Matcher | None = None) -> dict[str, Any]:
    """Open the labels again, and ask for each picture whether it is done."""
    recognizer, known, origin = _stub(options)
    start = time.perf_counter()
    if matcher:
        origin = origin.model_copy(update={"people": matcher.checksum})
    schema = label_schema(recognizer.metadata.embedding_size)
    with LabelFolder(folder / "labels", schema, origin, matcher or known) as labels:
        assert all(labels.index.is_done(picture) for picture in _found(options.simulated))
    return {"step": "resume scan, nothing to do", "seconds": time.perf_counter() - start}


def scan_changed(folder: Path, options: Options) -> dict[str, Any]:
    """The same with other people, so that all faces are matched anew."""
    recognizer, _, _ = _stub(options)
    people = Snapshot((Known("Nobody", None, 1, shipped=False),), recognizer.directions[:1])
    result = scan(folder, options, matcher=Matcher(recognizer.metadata, people, None))
    return {**result, "step": "resume scan, other people: all faces are matched anew"}


def _stub(options: Options) -> tuple[FaceRecognizer, Matcher, Origin]:
    recognizer = FaceRecognizer.load(_MODELS / options.model, threads=1)
    names = [person.name for person in recognizer.metadata.people]
    people = Snapshot(tuple(Known(name, None, 0, shipped=True) for name in names), recognizer.directions)
    matcher = Matcher(recognizer.metadata, people, None)
    origin = Origin(recognizer=recognizer.checksum, detector="0", landmarks="0", people=matcher.checksum)
    return recognizer, matcher, origin


def _found(count: int) -> Iterator[FoundPicture]:
    for number in range(count):
        yield FoundPicture(f"/archive/photos of {number // 1000:04}/IMG_{number:08}.jpg", 3_000_000 + number, number)


def _recognized(count: int, size: int) -> Iterator[RecognizedPicture]:
    """What the workers would have found: a face in each picture."""
    random = np.random.default_rng(0)
    face, points = Face(2000, 1500, 300, 0.1, 0.9), np.arange(10.0).reshape(5, 2)
    none = np.zeros((1, 0), np.float32)
    for picture in _found(count):
        vector = random.normal(size=(1, size)).astype(np.float32)
        output = ModelOutput(none, none, vector / np.linalg.norm(vector))
        sha256 = f"{picture.modified:064x}"
        result = PictureResult(output, [face], [points], [0.3], sha256, 4000, 3000, 0, 1)
        yield RecognizedPicture(picture, sha256, result)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
