"""The accurate model beside the package `face_recognition`, which computes the same network in dlib.

    uv run -m benchmarks.face_recognition_package                     about 5 minutes
    uv run -m benchmarks.face_recognition_package --faces 5 --rounds 1 --people 3 --unknown 10

Needs LFW, which `train.py` has downloaded to data/lfw-funneled.tgz, or where the variable LFW says; it is extracted to
the data folder unless it is there. Leaves `benchmarks/results/face_recognition_package.json` and the tables in
`benchmarks/README.md`, which explains them. Linux only.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import dlib
import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.implementations import (
    Floats,
    Gallery,
    Implementation,
    Nearest,
    Package,
    Templates,
    ThisProject,
    box_of,
    decode,
)
from benchmarks.lfw import find_lfw
from benchmarks.results import publish, table
from facerec.inference.face_cropper import FaceCropper
from facerec.inference.recognizer import FaceRecognizer
from facerec.training.metrics import Proportion, detection_and_identification
from tests.shipped import RECOGNIZER

ENROLLED_PICTURES = 5
PACKAGES = ("numpy", "onnxruntime", "pillow", "dlib-bin", "face-recognition-ng")


@dataclass(frozen=True)
class Options:
    """Compare the accurate model with the package face_recognition."""

    data_dir: Path = Path("data")  # folder to which LFW is extracted
    faces: int = 100  # faces whose recognition is timed
    rounds: int = 5  # how often each of them is recognized; the table shows medians over faces and rounds
    people: int = 48  # new people who are enrolled
    unknown: int = 500  # pictures of people who are not enrolled


@dataclass(frozen=True)
class Pictures:
    """The pictures of LFW that are used."""

    enrolled: list[list[Path]]  # five of each of the P people who are enrolled
    tests: list[Path]  # the other N of these people
    labels: NDArray[np.int64]  # [N], which person each of `tests` shows
    unknown: list[Path]  # M of people who are not enrolled


@dataclass(frozen=True)
class Naming:
    """How fast and how well people are named, from the picture's file on."""

    row: str
    pictures_per_second: float | None  # of `tests` and `unknown`; `None` where a row above has it
    found: Proportion  # of `tests` and `unknown`, pictures in which a face is found
    named: Proportion  # of `tests`, pictures whose face is found and named correctly
    dir_at_far_1: Proportion  # of `tests`, those above the threshold that 1 % of `unknown` exceed


def main(options: Options) -> None:
    """Time one recognition, name the people of whole pictures, publish."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one CPU, so that no library computes on several
    pictures = choose_pictures(options)
    project, package = ThisProject(), Package()
    milliseconds = time_recognition(project, package, pictures.tests[: options.faces], rounds=options.rounds)
    naming = compare_naming(project, package, pictures)
    results = {
        "milliseconds": milliseconds,
        "naming": [asdict(each) for each in naming],
        "dlib_compiled_with": {"avx": dlib.USE_AVX_INSTRUCTIONS, "blas": dlib.DLIB_USE_BLAS},
    }
    times = table(("one recognition", "ms"), [*milliseconds.items()])
    ratio = milliseconds["face_recognition"] / milliseconds["this project"]
    columns = ("file to name", "pictures/s", "face found", "named correctly", "DIR at FAR 1 %")
    rows = [
        [
            each.row,
            each.pictures_per_second,
            *(f"{part.value:.1%}" for part in (each.found, each.named, each.dir_at_far_1)),
        ]
        for each in naming
    ]
    tables = f"{times}\n\nOne recognition is {ratio:.1f} times as fast as face_recognition's.\n\n{table(columns, rows)}"
    publish("face_recognition_package", results, tables, packages=PACKAGES)


def choose_pictures(options: Options) -> Pictures:
    """New people of LFW, with five pictures of each drawn as `measure_new_people` does first, and unknown people."""
    files, _, split = find_lfw(options.data_dir)
    random = np.random.default_rng(0)
    shuffled = [random.permutation(images) for images in split.new_people][: options.people]
    tests = [images[ENROLLED_PICTURES:] for images in shuffled]
    unknown = np.random.default_rng(0).permutation(split.unknown_test)[: options.unknown]
    return Pictures(
        enrolled=[[files[image] for image in images[:ENROLLED_PICTURES]] for images in shuffled],
        tests=[files[image] for image in np.concatenate(tests)],
        labels=np.repeat(np.arange(len(tests)), [len(images) for images in tests]),
        unknown=[files[image] for image in unknown],
    )


def time_recognition(project: ThisProject, package: Package, files: Sequence[Path], *, rounds: int) -> dict[str, float]:
    """Median milliseconds to embed a face of a decoded picture. Both implementations are told the same square."""
    default = FaceRecognizer.load(RECOGNIZER, threads=1)
    default_cropper = FaceCropper(project.predictor, default.metadata.alignment)
    faces = []
    for picture in map(decode, files):
        image = np.asarray(picture.convert("RGB"))
        faces += [(picture, image, face) for face in project.detector.detect(picture)[:1]]
    steps: dict[str, list[float]] = defaultdict(list)
    for _ in tqdm(range(rounds), desc="Rounds"):  # one step after the other for all faces, so that its data stay cached
        for _, image, face in faces:
            with timed(steps["face_recognition"]):
                package.embed_face(image, box_of(face))
        for picture, _, face in faces:
            with timed(steps["this project"]):
                project.recognizer.recognize(project.cropper.crop_face(picture, face).crop[None])
        for picture, _, face in faces:
            with timed(steps["- five points"]):
                project.predictor.predict(picture, face)
        for picture, _, face in faces:
            with timed(steps["- five points and aligned crop"]):
                crop = project.cropper.crop_face(picture, face).crop
            with timed(steps["- network"]):
                project.recognizer.recognize(crop[None])
        for picture, _, face in faces:
            crop = default_cropper.crop_face(picture, face).crop
            with timed(steps["network of this project's default model"]):
                default.recognize(crop[None])
    return {name: 1000 * median(seconds) for name, seconds in steps.items()}


@contextmanager
def timed(seconds: list[float]) -> Iterator[None]:
    """Append the duration of the block to `seconds`."""
    start = time.perf_counter()
    yield
    seconds.append(time.perf_counter() - start)


def compare_naming(project: ThisProject, package: Package, pictures: Pictures) -> list[Naming]:
    """Enrol the people, then name the face of every other picture. The implementations take turns at each picture."""
    implementations = (project, package)
    project_people, package_people = (enrol(each, pictures) for each in implementations)
    galleries: tuple[Gallery, Gallery] = (Templates(project_people), Nearest(package_people))
    embeddings: tuple[list[Floats | None], list[Floats | None]] = ([], [])
    seconds = [0.0, 0.0]
    files = pictures.tests + pictures.unknown
    for file in tqdm(files, desc="Naming", unit=" pictures"):
        for number, (implementation, gallery) in enumerate(zip(implementations, galleries, strict=True)):
            start = time.perf_counter()
            embedding = implementation.embed(file)
            gallery.similarities(embedding)
            seconds[number] += time.perf_counter() - start
            embeddings[number].append(embedding)
    project_speed, package_speed = (len(files) / each for each in seconds)
    return [
        measure_naming("this project", project_speed, galleries[0], embeddings[0], pictures),
        measure_naming("face_recognition", package_speed, galleries[1], embeddings[1], pictures),
        measure_naming("face_recognition, templates", None, Templates(package_people), embeddings[1], pictures),
    ]


def enrol(implementation: Implementation, pictures: Pictures) -> list[list[Floats]]:
    """The embeddings that are kept of each person's enrolled pictures."""
    return [[sample for file in files for sample in implementation.samples(file)] for files in pictures.enrolled]


def measure_naming(
    row: str, speed: float | None, gallery: Gallery, embeddings: Sequence[Floats | None], pictures: Pictures
) -> Naming:
    """What `embeddings` of `pictures.tests` and `pictures.unknown` give with the people of `gallery`."""
    similarities = np.stack([gallery.similarities(each) for each in embeddings]).astype(np.float32)
    tests, unknown = np.split(similarities, [len(pictures.tests)])
    found = np.array([each is not None for each in embeddings])
    named = found[: len(tests)] & (tests.argmax(axis=1) == pictures.labels)
    return Naming(
        row=row,
        pictures_per_second=speed,
        found=Proportion.from_hits(found),
        named=Proportion.from_hits(named),
        dir_at_far_1=detection_and_identification(tests, pictures.labels, unknown, false_accept_rate=0.01),
    )


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
