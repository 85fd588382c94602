"""Labelling beside the loop over pictures that one would write with the package `face_recognition`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import face_recognition
import numpy as np
from tqdm import tqdm

from benchmarks.face_recognition_package import Options as PackageOptions
from benchmarks.face_recognition_package import Pictures, choose_pictures
from facerec.commands.enrolment import Enrolment
from facerec.inference.jobs import WorkerOptions
from facerec.inference.results import PictureResult
from facerec.labelling.archive import People
from facerec.labelling.found import FoundPicture
from facerec.labelling.labeller import Labeller
from facerec.models import load_pipeline
from facerec.people.enrolment import Portrait
from facerec.people.model_choice import embedding_of
from facerec.people.names import canonical_name
from facerec.people.store import PeopleStore
from facerec.training.metrics import Proportion


@dataclass(frozen=True)
class Compared:
    """How fast and how well the people of an archive are named."""

    title: str
    processes: int
    pictures_per_second: float
    """From the first picture to the last, once the models are loaded and people are enrolled."""
    faces: int
    """Found in all pictures."""
    named: Proportion
    """Of the pictures of enrolled people, those in which a face has that person's name."""
    false: Proportion
    """Of the pictures of people who are not enrolled, those in which a face has a name."""

    def row(self) -> list[str | float | None]:
        """The row of a table."""
        shares = [f"{share.value:.1%} ({share.count} of {share.total})" for share in (self.named, self.false)]
        return [self.title, self.processes, self.pictures_per_second, self.faces, *shares]


def compare_loops(
    data_dir: Path, folder: Path, options: WorkerOptions, *, workers: int, people: int, unknown: int
) -> list[Compared]:
    """Name the people of the same pictures with this project and with face_recognition.

    Args:
        data_dir: folder to which LFW is extracted.
        folder: of files that are needed meanwhile.
        options: the models.
        workers: processes of this project.
        people: number of people who are enrolled with five pictures each.
        unknown: pictures of others.
    """
    pictures = choose_pictures(PackageOptions(data_dir=data_dir, people=people, unknown=unknown))
    gallery = folder / "people.sqlite"
    enrol(pictures, gallery, options)
    return [label(pictures, gallery, options, workers=workers), loop(pictures)]


def enrol(pictures: Pictures, gallery: Path, options: WorkerOptions) -> None:
    """Enrol the people as `facerec people add` does."""
    pipeline = load_pipeline(options.recognizer)
    recognizer = pipeline.recognizer
    store = PeopleStore(gallery, embedding_of(recognizer.metadata, recognizer.checksum))
    enrolment = Enrolment(pipeline, store, force=False)
    for files in pictures.enrolled:
        results = [enrolment.look(file, frozenset()) for file in files]
        portraits = [Portrait(result, None) for result in results if isinstance(result, PictureResult)]
        enrolment.enrol(files[0].parent.name, portraits)
    store.close()


def label(pictures: Pictures, gallery: Path, options: WorkerOptions, *, workers: int) -> Compared:
    """Labelling in this project's processes."""
    files = pictures.tests + pictures.unknown
    names: dict[str, set[str]] = {str(file): set() for file in files}
    faces = 0
    with Labeller(options, workers=workers) as labeller:
        matcher = People(gallery=gallery, shipped_people=False).matcher(labeller.models)
        start = time.perf_counter()
        for batch in labeller.label((FoundPicture(path, None, None) for path in names), matcher):
            faces += len(batch) - batch["face"].null_count
            for path, name in zip(batch["path"].to_pylist(), batch["identity"].to_pylist(), strict=True):
                if name:
                    names[path].add(name)
        seconds = time.perf_counter() - start
    return compared(pictures, list(names.values()), title="labelling", processes=workers, seconds=seconds, faces=faces)


def loop(pictures: Pictures) -> Compared:
    """The loop that face_recognition's documentation shows, in one process."""
    known, owners = [], []
    for file in (file for files in pictures.enrolled for file in files):
        for encoding in face_recognition.face_encodings(face_recognition.load_image_file(file))[:1]:
            known.append(encoding)
            owners.append(canonical_name(file.parent.name))
    names: list[set[str]] = []
    faces = 0
    start = time.perf_counter()
    for file in tqdm(pictures.tests + pictures.unknown, desc="face_recognition", unit=" pictures"):
        names.append(set())
        image = face_recognition.load_image_file(file)
        for encoding in face_recognition.face_encodings(image, face_recognition.face_locations(image)):
            faces += 1
            nearest = int(np.argmin(face_recognition.face_distance(known, encoding)))
            if face_recognition.compare_faces(known, encoding)[nearest]:
                names[-1].add(owners[nearest])
    seconds = time.perf_counter() - start
    return compared(pictures, names, title="loop with face_recognition", processes=1, seconds=seconds, faces=faces)


def compared(
    pictures: Pictures, names: Sequence[set[str]], *, title: str, processes: int, seconds: float, faces: int
) -> Compared:
    """What the names are worth that were given to the faces of each picture, first of `tests`, then of `unknown`."""
    owners = [canonical_name(file.parent.name) for file in pictures.tests]
    rightly = np.array([owner in given for owner, given in zip(owners, names, strict=False)])
    falsely = np.array([bool(given) for given in names[len(owners) :]])
    return Compared(
        title,
        processes,
        len(names) / seconds,
        faces,
        named=Proportion.from_hits(rightly),
        false=Proportion.from_hits(falsely),
    )
