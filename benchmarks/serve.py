"""The service under load, beside the upper bound of the machine and a baseline service.

    uv run -m benchmarks.serve                                 about 7 minutes
    uv run -m benchmarks.serve --seconds 5 --clients 16 --rounds 1
    uv run -m benchmarks.serve --older-model ../older/model/face_recognition.onnx

Leaves `benchmarks/results/serve.json` and the tables in `benchmarks/README.md`, which explains them. Linux only.
"""

import io
import itertools
import os
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import tyro
from PIL import Image
from tqdm import tqdm

from benchmarks.load import Worker, by_url, client, crops, photo, repeat, upload
from benchmarks.results import publish, table
from benchmarks.services import AUTO, BASELINE, CENTRE, Service, cpu_seconds, memory_mb, reset_peak_memory, running
from facerec.inference.cropping import CropMode
from facerec.inference.detector import FaceDetector
from facerec.inference.face_cropper import FaceCropper, central_face
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.recognizer import FaceRecognizer
from tests.hostile_server import Connection, HostileServer, Script
from tests.shipped import DETECTOR, LANDMARKS, LFW, RECOGNIZER

# The detector finds no drawn faces: without LFW, requests with framing=auto would be answered with 422.
SERVICES = (CENTRE, AUTO, BASELINE) if LFW.exists() else (CENTRE, BASELINE)
OLDER = "baseline, older model"
UPPER_BOUNDS: dict[CropMode, str] = {"centre": "upper bound", "detect": "upper bound, framing=auto"}


@dataclass(frozen=True)
class Options:
    """Measure the service under load."""

    seconds: float = 1.2  # length of each measurement
    rounds: int = 3  # how often everything is measured, by turns; results are the medians
    clients: tuple[int, ...] = (1, 4, 16, 64)  # the tables show the middle one, the JSON file all
    cpus: int = 2  # CPUs that services and clients share, the first ones that this process may use
    older_model: Path | None = None  # an older version's recognizer, which the baseline runs once more with


def main(options: Options) -> None:
    """Measure by turns, take medians, publish."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cpus])
    services: tuple[Service, ...] = SERVICES
    if options.older_model:
        variables = {"BASELINE_MODEL": str(options.older_model)}
        services += (replace(BASELINE, name=OLDER, variables=variables),)
    small = crops(16)
    pictures = {"250 px crops": small, "12-megapixel photo": [photo(small[0], 4000, 3000)]}
    rows: list[dict[str, Any]] = []
    for _ in tqdm(range(options.rounds), desc="Rounds"):
        for kind, files in pictures.items():
            rows += [{"picture": kind, **row} for row in measure_upper_bounds(files, options)]
        for service, (kind, files) in itertools.product(services, pictures.items()):
            rows += [{"picture": kind, **row} for row in measure_service(service, files, options)]
    medians = pd.DataFrame(rows).groupby(["service", "picture", "source", "clients"], sort=False).median()
    results = medians.reset_index().to_dict("records")
    publish("serve", {"measurements": results}, tables(results))


def measure_upper_bounds(files: Sequence[bytes], options: Options) -> Iterator[dict[str, Any]]:
    """Metrics of the upper bounds. They are measured in this process, which is why its memory is left out."""
    for mode in dict.fromkeys(service.crop_mode for service in SERVICES):
        metrics = measure([recognize_bare(mode, files)] * options.cpus, os.getpid(), options.seconds)
        metrics |= {"peak_mb": 0, "client_cpu_ms": 0}
        yield {"service": UPPER_BOUNDS[mode], "source": "", "clients": 0, **metrics}


def recognize_bare(crop_mode: CropMode, files: Sequence[bytes]) -> Worker:
    """A worker that recognizes the picture `files[number]` on one thread, without HTTP.

    It decodes at the smallest scale that suffices for the detector (`detect`) or for a crop of the centre (`centre`).
    """
    recognizer = FaceRecognizer.load(RECOGNIZER, threads=1)
    cropper = FaceCropper(LandmarkPredictor.load(LANDMARKS, threads=1), recognizer.metadata.alignment)
    detector = FaceDetector.load(DETECTOR, threads=1) if crop_mode == "detect" else None

    def recognize(number: int) -> int:
        picture = Image.open(io.BytesIO(files[number % len(files)]))
        if detector:
            picture.draft("RGB", (detector.metadata.long_side, detector.metadata.long_side))
        else:
            shrink = cropper.max_shrink([central_face(picture.size)])
            picture.draft("RGB", (picture.width // shrink, picture.height // shrink))
        faces = detector.detect(picture) if detector else []
        cropped = cropper.crop_face(picture, faces[0]) if faces else cropper.crop_centre(picture)
        recognizer.recognize(cropped.crop[None])
        return 200

    recognize(0)  # the first run is slower
    return recognize


def measure_service(service: Service, files: Sequence[bytes], options: Options) -> Iterator[dict[str, Any]]:
    """Start `service`; yield metrics of it with each source of the picture `files` and each number of clients."""
    pages: dict[str, Script] = {
        f"/{number}": partial(Connection.respond, body=file) for number, file in enumerate(files)
    }
    with HostileServer(pages) as server, running(service, picture_port=server.port) as (pid, port):
        uploads = [upload(file, service.fields) for file in files]
        by_urls = [by_url(server.url(path), service.fields) for path in pages]
        for source, requests in (("upload", uploads), ("URL", by_urls)):
            repeat([client(port, requests) for _ in range(4)], seconds=0.5)  # the first answers are slower
            for clients in options.clients:
                metrics = measure([client(port, requests) for _ in range(clients)], pid, options.seconds)
                yield {"service": service.name, "source": source, "clients": clients, **metrics}


def measure(workers: Sequence[Worker], pid: int, seconds: float) -> dict[str, float]:
    """Metrics of the work that the process `pid` does for `workers`.

    Times are those of requests answered with 200; CPU time is divided by their number. `refused` is the fraction of
    requests answered with 503, `failed` that of the others, `peak_mb` the peak of resident memory.
    """
    reset_peak_memory(pid)
    cpu, client_cpu = cpu_seconds(pid), time.process_time()
    work = repeat(workers, seconds=seconds)
    client_cpu, cpu = time.process_time() - client_cpu, cpu_seconds(pid) - cpu
    answers = pd.DataFrame(work)
    ok, refused = answers.status == 200, answers.status == 503
    answered = int(ok.sum())
    assert answered, f"no request was answered with 200, but with {sorted({*answers.status})}"
    milliseconds = 1000 * (answers.received - answers.sent)[ok]
    return {
        "requests_per_second": answered / (answers.received[ok].max() - answers.sent.min()),
        "p50_ms": milliseconds.median(),
        "p99_ms": milliseconds.quantile(0.99, interpolation="higher"),
        "refused": refused.mean(),
        "failed": (~ok & ~refused).mean(),
        "cpu_ms": 1000 * cpu / answered,
        "peak_mb": memory_mb(pid, "VmHWM"),
        "client_cpu_ms": 1000 * client_cpu / answered,
    }


def tables(results: Sequence[dict[Hashable, Any]]) -> str:
    """A table for each kind of pictures, at the middle number of clients."""
    counts = sorted({row["clients"] for row in results} - {0})
    clients = counts[len(counts) // 2]
    bounds = {service.name: UPPER_BOUNDS[service.crop_mode] for service in (CENTRE, AUTO, BASELINE)}
    bounds |= {bound: bound for bound in UPPER_BOUNDS.values()}
    columns = ["", "source", "requests/s", "of the upper bound", "x baseline", "p50 ms", "p99 ms", "errors", "CPU ms"]
    parts = []
    for kind in dict.fromkeys(row["picture"] for row in results):
        rows = [row for row in results if row["picture"] == kind and row["clients"] in (0, clients)]
        rates = {(row["service"], row["source"]): row["requests_per_second"] for row in rows}
        shown: list[list[str | float | None]] = []
        for row in rows:
            service, source, rate = row["service"], row["source"], row["requests_per_second"]
            fraction = f"{rate / rates[bounds[service], '']:.0%}" if service in bounds else ""
            ratio = rate / rates[BASELINE.name, source] if source else None
            rest = (f"{row['refused'] + row['failed']:.0%}", row["cpu_ms"], row["peak_mb"] or None)
            shown.append([service, source, rate, fraction, ratio, row["p50_ms"], row["p99_ms"], *rest])
        parts.append(f"**{kind}, {clients} clients**\n\n{table([*columns, 'peak MB'], shown)}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
