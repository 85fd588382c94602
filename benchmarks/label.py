"""Pictures a second of labelling an archive, beside a bare loop and a loop with face_recognition.

    uv run -m benchmarks.label                          about 20 minutes, and 5 GB of disk
    uv run -m benchmarks.label --pictures 100 --photos 20 --rounds 1 --unknown 50

Needs LFW, which `train.py` has downloaded to data/lfw-funneled.tgz, or where the variable LFW says; it is extracted to
the data folder unless it is there. Leaves `benchmarks/results/label.json` and the tables in `benchmarks/README.md`,
which explains them. Linux only.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psutil
import tyro
from tqdm import tqdm

from benchmarks.bare_loop import bare_loop
from benchmarks.face_recognition_loop import compare_loops
from benchmarks.lfw import find_lfw
from benchmarks.load import photo
from benchmarks.results import publish, table
from benchmarks.services import memory_mb
from facerec.inference.cpus import available_cpus
from facerec.inference.model_file import shipped_recognizers
from facerec.labelling.archive import People
from facerec.labelling.found import FoundPicture
from facerec.labelling.label_folder import LabelFolder
from facerec.labelling.labeller import Labeller
from facerec.labelling.part_file import Origin
from facerec.models import worker_options

_OPTIONS = worker_options(shipped_recognizers()["accurate"])
_PHOTO_SIZE = (4000, 3000)
_PHOTOS = 100
"""Different photos. More are copies of them under other names, because it takes long to make one."""
_PACKAGES = ("numpy", "onnxruntime", "pillow", "pyarrow", "dlib-bin", "face-recognition-ng")


@dataclass(frozen=True)
class Options:
    """Measure throughput."""

    data_dir: Path = Path("data")  # folder to which LFW is extracted
    pictures: int = 13_233  # of LFW, that are labelled
    photos: int = 1000  # photos of 12 megapixels that are labelled
    rounds: int = 5  # parts of the pictures, each labelled and looped over by turns; the table shows medians
    people: int = 48  # new people who are enrolled to compare with face_recognition
    unknown: int = 500  # pictures of people who are not enrolled
    workers: int = available_cpus()


def main(options: Options) -> None:
    """Label and loop by turns, compare, publish."""
    lfw = find_lfw(options.data_dir).files
    with tempfile.TemporaryDirectory(dir=options.data_dir) as name:
        folder = Path(name)
        archives = {
            "pictures of LFW": spread(lfw, options.pictures),
            "photos of 12 megapixels": make_photos(spread(lfw, _PHOTOS), options.photos, folder / "photos"),
        }
        throughput = {title: by_turns(pictures, folder, options) for title, pictures in archives.items()}
        comparison = compare_loops(
            options.data_dir,
            folder,
            _OPTIONS,
            workers=options.workers,
            people=options.people,
            unknown=options.unknown,
        )
    tables = [
        table(
            ("", "pictures/s", "of the bare loop", "CPU ms", "of the bare loop", "MB after a quarter", "MB at the end"),
            [
                row
                for title, rounds in throughput.items()
                for row in (throughput_row(f"{title}, bare loop", 0, rounds), throughput_row(title, 1, rounds))
            ],
        ),
        table(
            ("", "processes", "pictures/s", "faces found", "named rightly", "unknown people given a name"),
            [each.row() for each in comparison],
        ),
    ]
    results = {
        "workers": options.workers,
        "throughput": throughput,
        "comparison": [asdict(each) for each in comparison],
    }
    publish("label", results, "\n\n".join(tables), packages=_PACKAGES)


def spread(files: Sequence[Path], count: int) -> list[Path]:
    """So many of the files, at even distances."""
    return [files[index * len(files) // count] for index in range(min(count, len(files)))]


def make_photos(faces: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """Photos of 12 megapixels with one of the faces in the middle of each."""
    folder.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(tqdm(paths, desc="Making photos", unit=" photos")):
        if number < len(faces):
            path.write_bytes(photo(faces[number].read_bytes(), *_PHOTO_SIZE))
        else:
            shutil.copyfile(paths[number % len(faces)], path)
    return paths


Measured = dict[str, float]
"""`speed` in pictures a second, `cpu_ms` of all processes for a picture, `quarter_mb` and `end_mb` of their memory."""


def by_turns(pictures: Sequence[Path], folder: Path, options: Options) -> list[tuple[Measured, Measured]]:
    """What the bare loop and labelling give for each part of the pictures."""
    parts = [pictures[start :: options.rounds] for start in range(options.rounds)]
    return [
        (bare_loop(part, _OPTIONS, workers=options.workers), label_pictures(part, folder, options))
        for part in tqdm(parts, desc="Labelling", unit=" rounds")
    ]


def throughput_row(name: str, column: int, rounds: Sequence[tuple[Measured, Measured]]) -> list[str | float | None]:
    """The medians of one of the two, and how they compare in the same round."""

    def compared(key: str) -> str:
        return f"{median(both[column][key] / both[0][key] for both in rounds):.0%}"

    speed, cpu = (median(both[column][key] for both in rounds) for key in ("speed", "cpu_ms"))
    last = rounds[-1][column]
    memory = [last.get("quarter_mb"), last.get("end_mb")]
    return [name, speed, compared("speed"), cpu, compared("cpu_ms"), *memory]


def label_pictures(pictures: Sequence[Path], folder: Path, options: Options) -> Measured:
    """Labelling from the first picture to the last part."""
    output = Path(tempfile.mkdtemp(dir=folder))
    quarter = 0.0
    with Labeller(_OPTIONS, workers=options.workers) as labeller:
        matcher = People(gallery=output / "people.sqlite").matcher(labeller.models)
        origin = Origin.of(labeller.models, matcher.checksum)
        start, cpu = time.perf_counter(), cpu_seconds()
        found = (FoundPicture(str(path.absolute()), path.stat().st_size, 0) for path in pictures)
        done = 0
        with LabelFolder(output, labeller.schema, origin, matcher) as labels:
            for batch in labeller.label(found, matcher):
                labels.write(batch)
                done += len(batch)
                if not quarter and done >= len(pictures) / 4:
                    quarter = memory_mb(os.getpid(), "VmRSS")
        seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
        end = memory_mb(os.getpid(), "VmRSS")
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


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
