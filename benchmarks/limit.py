"""What the machine gives without a service: a bare loop over the work that an answer needs, no HTTP around it."""

import io
import itertools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import onnxruntime as ort
from PIL import Image

from benchmarks.load import Outcome
from benchmarks.processes import ROOT, peak_megabytes
from facerec.inference.cropping import crop_centre, crop_face
from facerec.inference.detector import FaceDetector

Recognize = Callable[[bytes], object]
"""From a file's bytes to the network's answer."""


def centre(ort_threads: int) -> Recognize:
    """Decode, crop the centre, recognize."""
    session = _session(ort_threads)

    def recognize(file: bytes) -> object:
        return session.run(["probabilities"], {"images": crop_centre(Image.open(io.BytesIO(file)))[None]})

    return recognize


def auto(ort_threads: int) -> Recognize:
    """Decode at the smallest scale that the detector can use, detect, crop the most prominent face, recognize."""
    session = _session(ort_threads)
    detector = FaceDetector.load(ROOT / "model/face_detector.onnx", threads=ort_threads)
    enough = detector.metadata.long_side

    def recognize(file: bytes) -> object:
        picture = Image.open(io.BytesIO(file))
        picture.draft("RGB", (enough, enough))
        faces = detector.detect(picture)
        crop = crop_face(picture, faces[0]) if faces else crop_centre(picture)
        return session.run(["probabilities"], {"images": crop[None]})

    return recognize


def _session(ort_threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = ort_threads
    return ort.InferenceSession(ROOT / "model/face_recognition.onnx", options)


LIMITS = {"limit": centre, "limit, framing=auto": auto}
"""By name: what makes the work, given the threads of ONNX Runtime. All loops share its sessions."""


def run_limit(
    name: str, pictures: Sequence[bytes], *, threads: int, ort_threads: int, seconds: float
) -> tuple[Outcome, float]:
    """Work through `pictures` in `threads` loops, in this process; the peak of its memory in MB comes with it."""
    recognize = LIMITS[name](ort_threads)
    recognize(pictures[0])  # warm
    outcome, cpu = Outcome(), time.process_time()

    def repeat(first: int) -> None:
        for number in itertools.count(first):
            if (start := time.perf_counter()) >= outcome.started + seconds:
                return
            recognize(pictures[number % len(pictures)])
            outcome.answered.append((start, time.perf_counter()))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(repeat, range(threads)))
    outcome.cpu_seconds = time.process_time() - cpu
    return outcome, peak_megabytes(os.getpid())
