"""The upper bound of labelling: processes that read, decode, detect and recognize, and keep nothing."""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path

from facerec.inference.detector import FaceDetector
from facerec.inference.jobs import WorkerOptions
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.pipeline import Pipeline
from facerec.inference.recognizer import FaceRecognizer
from facerec.inference.results import Trace

_PROCESSES = multiprocessing.get_context("spawn")


def bare_loop(pictures: Sequence[Path], options: WorkerOptions, *, workers: int) -> dict[str, float]:
    """`speed` in pictures a second of so many processes, from the time when all have loaded the models, and `cpu_ms`,
    the CPU time of all for a picture.
    """
    barrier, following = _PROCESSES.Barrier(workers + 1), _PROCESSES.Value("i", 0)
    cpu = _PROCESSES.Value("d", 0)
    arguments = (pictures, options, barrier, following, cpu)
    processes = [_PROCESSES.Process(target=_loop, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    barrier.wait()
    start = time.perf_counter()
    for process in processes:
        process.join()
    seconds = time.perf_counter() - start
    return {"speed": len(pictures) / seconds, "cpu_ms": 1000 * cpu.value / len(pictures)}


def _loop(
    pictures: Sequence[Path],
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
        pipeline.recognize(pictures[index].read_bytes, "detect", Trace())
    with cpu.get_lock():
        cpu.value += time.process_time() - start
