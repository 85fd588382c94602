"""How the writer and the index of labels bear a million pictures, which a stub stands for. Each step is a process.

    uv run -m benchmarks.simulated_archive                      about 3 minutes, and 1 GB of disk
    uv run -m benchmarks.simulated_archive --pictures 10000

Leaves `benchmarks/results/simulated_archive.json` and the table in `benchmarks/README.md`, which explains it. Linux
only.
"""

import itertools
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro

from benchmarks.results import publish, table
from benchmarks.services import memory_mb
from facerec.inference.cropping import Face
from facerec.inference.model_file import shipped_recognizers
from facerec.inference.recognizer import FaceRecognizer
from facerec.inference.results import PictureResult
from facerec.labelling.found import FoundPicture
from facerec.labelling.label_folder import LabelFolder
from facerec.labelling.labeller import RecognizedPicture, picture_rows
from facerec.labelling.matching import Matcher
from facerec.labelling.part_file import Origin
from facerec.labelling.rows import label_schema, to_batch
from facerec.people.gallery import Known, Snapshot

_BATCH = 500


class Archive(NamedTuple):
    """An archive that there isn't."""

    model: Path
    """The recognizer, whose people are known."""
    pictures: int
    """Number of pictures, each of one face."""
    folder: Path
    """Where its labels are kept."""


@dataclass(frozen=True)
class Options:
    """Simulate an archive."""

    pictures: int = 1_000_000  # each of one face


def main(options: Options) -> None:
    """Simulate, publish."""
    with tempfile.TemporaryDirectory(dir="data") as folder:
        steps = simulate(shipped_recognizers()["accurate"], options.pictures, Path(folder) / "labels")
    columns = (f"{options.pictures:,} pictures", "seconds", "peak MB")
    rows = [[step["step"], step["seconds"], step["peak_mb"]] for step in steps]
    publish("simulated_archive", {"steps": steps}, table(columns, rows), packages=("numpy", "pyarrow"))


def simulate(model: Path, count: int, folder: Path) -> list[dict[str, Any]]:
    """Each step's name, seconds and peak memory in MB."""
    archive = Archive(model, count, folder)
    return [in_process(partial(step, archive)) for step in (write_rows, scan, scan_changed)]


def in_process(step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a step in a process of its own, and the peak of that process's memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_with_peak, (step,))


def _with_peak(step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    result = step()
    return {**result, "peak_mb": memory_mb(os.getpid(), "VmHWM")}  # ru_maxrss would be that of the parent process too


def write_rows(archive: Archive) -> dict[str, Any]:
    """Write the rows of an archive of one face a picture, which no worker has seen."""
    start = time.perf_counter()
    recognizer, matcher, origin = _stub(archive.model)
    schema = label_schema(recognizer.metadata.embedding_size)
    results = _recognized(archive.pictures, recognizer.metadata.embedding_size)
    with LabelFolder(archive.folder / "labels", schema, origin, matcher) as labels:
        while batch := list(itertools.islice(results, _BATCH)):
            rows = [row for each in batch for row in picture_rows(each, matcher, recognizer.checksum)]
            labels.write(to_batch(rows, schema))
    return {"step": "matching and writing", "seconds": time.perf_counter() - start}


def scan(archive: Archive, *, matcher: Matcher | None = None) -> dict[str, Any]:
    """Open the labels again, and ask for each picture whether it is done."""
    recognizer, known, origin = _stub(archive.model)
    start = time.perf_counter()
    if matcher:
        origin = origin.model_copy(update={"people": matcher.checksum})
    schema = label_schema(recognizer.metadata.embedding_size)
    with LabelFolder(archive.folder / "labels", schema, origin, matcher or known) as labels:
        assert all(labels.index.is_done(picture) for picture in _found(archive.pictures))
    return {"step": "resume scan, nothing to do", "seconds": time.perf_counter() - start}


def scan_changed(archive: Archive) -> dict[str, Any]:
    """The same with other people, so that all faces are matched anew."""
    recognizer, _, _ = _stub(archive.model)
    people = Snapshot((Known("Nobody", None, 1, shipped=False),), recognizer.directions[:1])
    result = scan(archive, matcher=Matcher(recognizer.metadata, people, None))
    return {**result, "step": "resume scan, other people: all faces are matched anew"}


def _stub(model: Path) -> tuple[FaceRecognizer, Matcher, Origin]:
    recognizer = FaceRecognizer.load(model, threads=1)
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
    for picture in _found(count):
        vector = random.normal(size=(1, size)).astype(np.float32)
        sha256 = f"{picture.modified:064x}"
        result = PictureResult(vector / np.linalg.norm(vector), [face], [points], [0.3], sha256, 4000, 3000, 0, 1)
        yield RecognizedPicture(picture, sha256, result)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
