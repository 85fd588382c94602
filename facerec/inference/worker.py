"""The program of a worker process: recognizes the pictures that arrive on a connection.

    python -m facerec.inference.worker DESCRIPTOR

`facerec.inference.worker_pool` starts it and holds the other end of the connection `DESCRIPTOR`. Hostile pictures are
decoded here and nowhere else, so that whatever they cost is the cost of a process that can be ended: the kernel refuses
memory beyond the limit, and kills the process at the limit of CPU time.
"""

import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection

from facerec.errors import raised_at
from facerec.inference.detector import FaceDetector
from facerec.inference.errors import InferenceError, WorkerFault
from facerec.inference.jobs import Answer, Job, LoadedModels, WorkerOptions
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.memory import limit_freed_memory, mapped_memory, release_freed_memory
from facerec.inference.pipeline import Pipeline
from facerec.inference.recognizer import FaceRecognizer
from facerec.inference.results import Trace
from facerec.pictures.data_urls import read_data_url
from facerec.pictures.errors import PictureError, PictureTooCostly

_KEPT_BYTES = 64 * 2**20
"""Freed memory that is kept for the next picture. Mapping it anew would take a tenth of a large picture's time."""
_IDLE_SECONDS = 1
"""Seconds without a picture after which that memory is returned as well."""


def main(descriptor: int) -> None:
    """Serve jobs until the other end of the connection is closed.

    The first message to the worker is `WorkerOptions`; it answers with `LoadedModels`, or with the ModelFileError that
    ends it. Each further message is a `Job`, answered with an `Answer` as JSON.
    """
    connection = Connection(descriptor)
    try:
        options: WorkerOptions = connection.recv()
        pipeline = _load(options, connection)
        while pipeline:
            if not connection.poll(_IDLE_SECONDS):
                release_freed_memory()
            connection.send_bytes(_answer(pipeline, connection.recv(), options).to_json())
    except (EOFError, ConnectionError):
        pass


def _load(options: WorkerOptions, connection: Connection) -> Pipeline | None:
    limit_freed_memory(block_bytes=16 * 2**20, total_bytes=_KEPT_BYTES)
    try:
        recognizer = FaceRecognizer.load(options.recognizer, threads=options.threads)
        detector = FaceDetector.load(options.detector, threads=options.threads)
        predictor = LandmarkPredictor.load(options.landmarks, threads=options.threads)
    except InferenceError as error:
        connection.send(error)
        return None
    release_freed_memory()
    gc.freeze()  # what lives as long as the process need not be visited by each later collection
    _limit_memory(options.memory_bytes + (mapped_memory() if recognizer.on_gpu else 0))  # CUDA maps gigabytes
    connection.send(
        LoadedModels(
            recognizer=recognizer.metadata,
            recognizer_checksum=recognizer.checksum,
            directions=recognizer.directions,
            detector=detector.metadata,
            detector_checksum=detector.checksum,
            landmarks=predictor.metadata,
            landmarks_checksum=predictor.checksum,
        )
    )
    return Pipeline(
        recognizer,
        detector,
        predictor,
        max_bytes=options.max_bytes,
        max_pixels=options.max_pixels,
        max_faces=options.max_faces,
    )


def _answer(pipeline: Pipeline, job: Job, options: WorkerOptions) -> Answer:
    trace = Trace()
    source = job.source
    read = partial(read_data_url, source, max_bytes=options.max_bytes) if isinstance(source, str) else lambda: source
    try:
        with _cpu_time_limited(options.cpu_seconds):
            with suppress(MemoryError):
                return Answer(trace, result=pipeline.recognize(read, job.crop_mode, trace, preview=job.preview))
            release_freed_memory()  # what was kept of earlier pictures counts to the limit
            return Answer(trace, result=pipeline.recognize(read, job.crop_mode, trace, preview=job.preview))
    except MemoryError:
        failure: PictureError | InferenceError = PictureTooCostly()
    except (PictureError, InferenceError) as error:
        failure = type(error)(str(error))  # without the traceback, whose frames hold the picture
    except Exception as error:
        failure = WorkerFault(raised_at(error))
    release_freed_memory()
    return Answer(trace, error=failure)


@contextmanager
def _cpu_time_limited(seconds: float) -> Iterator[None]:
    """Let the kernel kill this process with SIGPROF once the block has taken `seconds` of CPU time (setitimer(2))."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _limit_memory(limit: int) -> None:
    """Refuse this process memory beyond `limit` bytes: allocations fail, which Python raises as MemoryError."""
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - not on every system

        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    main(int(sys.argv[1]))
