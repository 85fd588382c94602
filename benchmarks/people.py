"""The goals of enrolled people that are about recognition: strangers named, new people recognized, large galleries.

    uv run -m benchmarks.people                         about 5 minutes
    uv run -m benchmarks.people --model default         the same for the default model
    uv run -m benchmarks.people --unknown 50 --draws 2 --people 200

Pictures are files of LFW, which `train.py` has downloaded to data/lfw-funneled.tgz, or where the variable LFW names its
archive. Each takes the service's own way: `Pipeline` from the file to the embedding, `select_samples` where it is
enrolled, `Identifier` for the answer. Times are those of `predict.py` over HTTP, and of its parts in this process.
Leaves `benchmarks/results/people.json` and the tables in `benchmarks/README.md`, which explains them.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.lfw import find_lfw
from benchmarks.people_service import measure_service
from benchmarks.results import publish, table
from facerec.inference.detector import FaceDetector
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import RecognizerMetadata
from facerec.inference.pipeline import Pipeline
from facerec.inference.recognizer import FaceRecognizer
from facerec.inference.results import PictureResult, Trace
from facerec.people.enrolment import Portrait, select_samples
from facerec.people.gallery import Gallery, Known, Snapshot
from facerec.people.identification import Identification, Identifier
from facerec.people.samples import Box, Embedding, Sample, normalize, template
from facerec.people.store import PeopleStore
from facerec.training.split import Indices, Split
from tests.shipped import ACCURATE_RECOGNIZER, DETECTOR, LANDMARKS, RECOGNIZER

PICTURES = 5
"""Pictures with which new people are enrolled."""
PACKAGES = ("numpy", "onnxruntime", "pillow", "sqlalchemy")


@dataclass(frozen=True)
class Options:
    """Measure what the service does with enrolled people."""

    model: Literal["accurate", "default"] = "accurate"
    data_dir: Path = Path("data")  # folder to which LFW is extracted
    unknown: int = 2035  # pictures of strangers
    draws: int = 10  # galleries of each size
    people: int = 10_000  # people of the large gallery


@dataclass(frozen=True)
class Pictures:
    """The pictures of LFW, recognized when they are first needed."""

    files: Sequence[Path]
    pipeline: Pipeline
    results: dict[int, PictureResult]

    def recognize(self, images: Indices) -> None:
        """Recognize pictures that were not recognized yet."""
        for image in tqdm([each for each in images.tolist() if each not in self.results], desc="Recognizing"):
            self.results[image] = self.pipeline.recognize(self.files[image].read_bytes, "detect", Trace())

    def embeddings(self, images: Indices) -> NDArray[np.float32]:
        """Of the most prominent face of each picture, float32 `[N, D]`. Zeros, like nobody, where none is found."""
        size = self.pipeline.recognizer.metadata.embedding_size
        found = [self.results[image].embeddings for image in images.tolist()]
        return np.stack([np.zeros(size, np.float32) if each is None else each[0] for each in found])

    def samples(self, images: Indices) -> list[Sample]:
        """What pictures of one person add to a gallery, those that are refused left out.

        In LFW's pictures the most prominent face is the person's.
        """
        results = [self.results[image] for image in images.tolist()]
        portraits = [Portrait(each, Box.of(each.faces[0]) if each.faces else None) for each in results]
        metadata = self.pipeline.recognizer.metadata
        nobody = Snapshot((), np.zeros((0, metadata.embedding_size), np.float32))
        threshold = metadata.threshold
        return select_samples(portraits, "", own=[], snapshot=nobody, threshold=threshold, force=False).samples


@dataclass(frozen=True)
class Draw:
    """A gallery, and what the service answers with it. Fractions of 0 to 1."""

    people: int
    pictures: int  # of each person, or as many as there are of people who are not tested
    named: float  # of the strangers, who are given the name of an enrolled person
    named_with_shipped: float  # the same with the model's own people in the gallery
    recognized: float  # of the enrolled new people's other pictures, who are given their name


@dataclass(frozen=True)
class LargeGallery:
    """Seconds of a service with many enrolled people, beside one with only its own."""

    start: float  # to open the store and read everybody
    answer: float  # to identify one face
    answer_shipped: float  # the same among the model's own people
    change: float  # to read one more person and compute the threshold anew


def main(options: Options) -> None:
    """Recognize the pictures, draw galleries, fill a large one, publish."""
    path = ACCURATE_RECOGNIZER if options.model == "accurate" else RECOGNIZER
    recognizer = FaceRecognizer.load(path, threads=1)
    detector, predictor = FaceDetector.load(DETECTOR, threads=1), LandmarkPredictor.load(LANDMARKS, threads=1)
    pipeline = Pipeline(recognizer, detector, predictor, max_bytes=2**24, max_pixels=2**24, max_faces=20)
    files, split, others = choose_pictures(options, trained=options.model == "default")
    pictures = Pictures(files, pipeline, {})
    unknown = split.unknown_test[: options.unknown]
    pictures.recognize(np.concatenate([*split.new_people, *others, unknown]))

    people = [Known(each.name, None, 0, shipped=True) for each in recognizer.metadata.people]
    shipped = Snapshot(tuple(people), recognizer.directions)
    draws = [
        [
            draw(
                pictures,
                new_people=split.new_people,
                others=others,
                unknown=unknown,
                shipped=shipped,
                size=size,
                enrolled=enrolled,
                seed=seed,
            )
            for seed in range(options.draws)
        ]
        for size, enrolled in ((10, 1), (100, 1), (1000, 1), (10, PICTURES), (48, PICTURES))
    ]
    first_pictures = [files[images[0]] for images in split.new_people]
    with TemporaryDirectory() as folder:
        gallery = Path(folder) / "people.sqlite"
        small = measure_service(Path(folder) / "empty.sqlite", path, first_pictures)
        fill_gallery(gallery, recognizer.metadata, options.people)
        full = measure_service(gallery, path, first_pictures)
        large = measure_large_gallery(gallery, recognizer.metadata, shipped)
    results = {
        "model": options.model,
        "draws": [asdict(each) for rows in draws for each in rows],
        "large": asdict(large),
        "service": {"nobody enrolled": asdict(small), f"{options.people} people": asdict(full)},
    }
    columns = ("people enrolled", "pictures each", "strangers named", "with the shipped people", "named correctly")
    rows: list[list[str | float | None]] = [
        [
            f"{first.people:,}",
            str(first.pictures),
            *(
                f"{np.mean([getattr(each, name) for each in (first, *rest)]):.2%}"
                for name in ("named", "named_with_shipped", "recognized")
            ),
        ]
        for first, *rest in draws
    ]
    times: list[list[str | float | None]] = [
        [f"start: open the store, read {options.people:,} people with {PICTURES} samples each", 1000 * large.start],
        ["identify one face among them", 1000 * large.answer],
        ["identify one face among the model's own people", 1000 * large.answer_shipped],
        ["read one more person, and compute the threshold anew", 1000 * large.change],
    ]
    over_http: list[list[str | float | None]] = [
        [title, *(1000 * getattr(each, name) for each in (small, full))]
        for title, name in (
            ("start to ready", "start"),
            ("predict", "prediction"),
            ("enrol one picture", "enrolment"),
        )
    ]
    tables = (
        table(columns, rows),
        table(("step", "ms"), times),
        table(("over HTTP, ms", "nobody enrolled", f"{options.people:,} people"), over_http),
    )
    publish("people", results, "\n\n".join(tables), packages=PACKAGES)


def choose_pictures(options: Options, *, trained: bool) -> tuple[list[Path], Split, list[Indices]]:
    """All files of LFW, their split, and the people who fill large galleries with one picture each.

    These were in no training: background people, or the validation half of the unknown people if the model is trained
    on the background people.
    """
    files, identities, split = find_lfw(options.data_dir)
    unseen = split.unknown_validation if trained else split.background
    _, firsts = np.unique(identities[unseen], return_index=True)
    return files, split, [unseen[first : first + 1] for first in firsts]


def draw(
    pictures: Pictures,
    *,
    new_people: list[Indices],
    others: list[Indices],
    unknown: Indices,
    shipped: Snapshot,
    size: int,
    enrolled: int,
    seed: int,
) -> Draw:
    """Enrol `size` people: new ones, and others where these are too few. Identify strangers and the new people."""
    random = np.random.default_rng([seed, size])
    new = [random.permutation(new_people[person]) for person in random.permutation(len(new_people))[:size]]
    chosen = random.permutation(len(others))[: size - len(new)]
    samples = [pictures.samples(images[:enrolled]) for images in (*new, *(others[person] for person in chosen))]
    known = [(Known(str(row), None, len(own), shipped=False), own) for row, own in enumerate(samples) if own]
    templates = np.stack([template(np.stack([sample.embedding for sample in own])) for _, own in known])
    gallery = Snapshot(tuple(person for person, _ in known), templates)
    both = Snapshot((*shipped.people, *gallery.people), np.concatenate([shipped.templates, templates]))

    identifier = Identifier(pictures.pipeline.recognizer.metadata, threshold=None)

    def identify(images: Indices, snapshot: Snapshot) -> list[Identification]:
        return identifier.identify(pictures.embeddings(images), snapshot, most=1)

    def named(snapshot: Snapshot) -> float:
        return float(np.mean([each.person is not None for each in identify(unknown, snapshot)]))

    tests = [(str(row), image) for row, images in enumerate(new) for image in images[enrolled:]]
    answers = identify(np.array([image for _, image in tests]), gallery)
    correct = [
        answer.person is not None and answer.person.name == name
        for answer, (name, _) in zip(answers, tests, strict=True)
    ]
    return Draw(size, enrolled, named(gallery), named(both), float(np.mean(correct)))


def random_samples(metadata: RecognizerMetadata, random: np.random.Generator, name: str) -> list[Sample]:
    """The samples of a person of random directions."""
    vectors = normalize(random.normal(size=(PICTURES, metadata.embedding_size)).astype(np.float32))
    return [Sample(each, 1.0, f"{name} {row}", Box(0, 0, 100)) for row, each in enumerate(vectors)]


def fill_gallery(location: Path, metadata: RecognizerMetadata, people: int) -> None:
    """Fill a SQLite file with random people."""
    random = np.random.default_rng(0)
    store = PeopleStore(location, Embedding(metadata.embedding_id or "", metadata.embedding_size))
    for number in tqdm(range(people), desc="Enrolling"):
        store.add_person(f"Person {number}", random_samples(metadata, random, str(number)))
    store.close()


def measure_large_gallery(location: Path, metadata: RecognizerMetadata, shipped: Snapshot) -> LargeGallery:
    """Measure how long the parts of a service take with a large gallery. Medians of several times."""
    random = np.random.default_rng(1)
    directions = {person.name: row for person, row in zip(shipped.people, shipped.templates, strict=True)}
    embedding = Embedding(metadata.embedding_id or "", metadata.embedding_size)
    starts, changes = [], []
    for _ in range(5):
        started = time.perf_counter()
        reader = PeopleStore(location, embedding)
        gallery = Gallery(reader, directions)
        starts.append(time.perf_counter() - started)
        reader.close()
    store = PeopleStore(location, embedding)
    gallery = Gallery(store, directions)
    identifier = Identifier(metadata, threshold=None)
    face = random_samples(metadata, random, "face")[0].embedding[None]
    for number in range(5):
        store.add_person(f"One more {number}", random_samples(metadata, random, f"more {number}"))
        started = time.perf_counter()
        gallery.refresh()
        identifier.threshold(gallery.snapshot)
        changes.append(time.perf_counter() - started)
    store.close()

    def answer(snapshot: Snapshot) -> float:
        seconds = []
        for _ in range(50):
            started = time.perf_counter()
            identifier.identify(face, snapshot, most=50)
            seconds.append(time.perf_counter() - started)
        return median(seconds)

    return LargeGallery(median(starts), answer(gallery.snapshot), answer(shipped), median(changes))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
