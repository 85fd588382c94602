"""What one answer is made of, on one thread: decoding, detecting and recognizing, against what else each could be.

    uv run -m benchmarks.parts                          under a minute

Leaves `benchmarks/results/parts.json` and the table in `benchmarks/README.md`.
"""

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
import tyro
from PIL import Image
from tqdm import tqdm

from benchmarks.contenders import SHARED
from benchmarks.pictures import crops, photo
from benchmarks.processes import ROOT
from benchmarks.results import installed, publish, table
from facerec.inference.cropping import CROP_SIZE, Crop, crop_centre
from facerec.inference.detector import FaceDetector
from facerec.inference.recognizer import Recognizer
from facerec.pictures.decode import PictureFile


@dataclass(frozen=True)
class Options:
    """Measure the parts of an answer."""

    rounds: int = 60
    """How often each part is done, each round in another order; the table has the medians."""


def main(options: Options) -> None:
    """Measure by turns, take medians, publish."""
    recognizer = Recognizer.load(ROOT / "model/face_recognition.onnx", threads=1)
    detector = FaceDetector.load(ROOT / "model/face_detector.onnx", threads=1)
    small, as_it_comes = crops(1)[0], plain_session()
    large = photo(small, 4000, 3000)
    crop = cropped(small)[None]
    picture = Image.fromarray(crop[0]).resize((320, 320))
    reduced, full = "decode and crop a 12-megapixel JPEG", "the same, decoded at full size"
    ours, theirs = "recognize one face", "the same, in a session with ONNX Runtime's own settings"
    parts: dict[str, Callable[[], object]] = {
        "decode and crop a JPEG of 250 pixels": lambda: cropped(small),
        reduced: lambda: cropped(large),
        full: lambda: cropped(large, shrink=1),
        "find the faces in 320 x 320 pixels": lambda: detector.detect(picture),
        ours: lambda: recognizer.recognize(crop),
        theirs: lambda: as_it_comes.run(None, {"images": crop}),
    }
    seconds: dict[str, list[float]] = defaultdict(list)
    orders = random.Random(0)  # what ran before leaves its data in the caches
    for _ in tqdm(range(options.rounds), desc="Rounds"):
        for name in orders.sample(list(parts), len(parts)):
            start = time.perf_counter()
            parts[name]()
            seconds[name].append(time.perf_counter() - start)
    milliseconds = {name: 1000 * statistics.median(seconds[name]) for name in parts}
    answers = [recognizer.recognize(cropped(large, shrink=shrink)[None]).probabilities[0] for shrink in (None, 1)]
    same, apart = answers[0].argmax() == answers[1].argmax(), float(np.abs(answers[0] - answers[1]).max())
    publish(
        "parts",
        {"ms": dict(milliseconds), "same_answer": bool(same), "probabilities_apart": apart},
        f"{table(('part', 'ms'), list(milliseconds.items()))}\n\n"
        f"The reduced scale takes {milliseconds[reduced] / milliseconds[full]:.0%} of the time of the full decode; the "
        f"answer is {'the same' if same else 'ANOTHER'}, no probability differs by more than {apart:.3f}. The "
        f"service's session takes {milliseconds[ours] / milliseconds[theirs]:.0%} of the time of one with ONNX "
        "Runtime's own settings.",
        packages=installed(*SHARED),
    )


def cropped(file: bytes, *, shrink: int | None = None) -> Crop:
    """The crop of a picture file, decoded `shrink` times smaller, or as small as the service decodes it."""
    picture = PictureFile(file, max_bytes=len(file), max_pixels=25_000_000)
    return crop_centre(picture.decode(shrink=shrink or min(picture.size) // CROP_SIZE).image)


def plain_session() -> ort.InferenceSession:
    """Of one thread, and nothing else set."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(ROOT / "model/face_recognition.onnx", options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
