"""`facerec people add`: enrol the people of a folder, or those who are named in photos."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from facerec.commands.console import CommandError, print_table, say
from facerec.commands.enrolment import Enrolment
from facerec.commands.folder import Refused, search_folder
from facerec.commands.gallery import describe, locate
from facerec.commands.named_photos import named_portraits, search_names
from facerec.commands.options import AddPeople
from facerec.errors import CodedError
from facerec.inference.cpus import available_cpus
from facerec.inference.results import PictureResult
from facerec.models import choose_recognizer, load_pipeline
from facerec.people.enrolment import Portrait
from facerec.people.errors import AlreadyEnrolled
from facerec.people.model_choice import embedding_of
from facerec.people.store import PeopleStore

Portraits = Callable[[str, Path, PictureResult], list[Portrait]]
"""The portraits of a person in a picture, for the person's name, the picture and what was found in it."""


class Added(NamedTuple):
    """What became of a person's pictures."""

    name: str
    added: int
    known: int
    """Pictures that are among the person's samples already, or twice in the folder."""
    refused: int


def add_people(options: AddPeople) -> None:
    """Enrol everybody, and print who was added and which pictures were refused.

    Raises:
        CommandError: the folder can't be read, or none of its pictures can be enrolled.
        StoreError: the gallery can't be used. Those who were added before stay.
        ModelFileError: a model can't be used.
    """
    start = time.monotonic()
    pictures, refused = (search_names if options.from_xmp else search_folder)(options.folder)
    portraits: Portraits = (
        named_portraits if options.from_xmp else lambda _name, _path, result: [Portrait(result, None)]
    )
    location = locate(options.gallery)
    model = choose_recognizer(options.model, location, otherwise="accurate")
    pipeline = load_pipeline(model.path)
    embedding = embedding_of(pipeline.recognizer.metadata, pipeline.recognizer.checksum)
    people: list[Added] = []
    with closing(PeopleStore(location, embedding)) as store:
        say(f"Enrolling in {describe(location)} with {model.path.name}, {model.reason}.")
        for person, reasons in _enrol(Enrolment(pipeline, store, force=options.force), pictures, portraits):
            people.append(person)
            prefix = f"{person.name}: " if options.from_xmp else ""  # a photo may show several people
            refused.extend(Refused(path, prefix + reason) for path, reason in reasons)
    if people:
        print_table(Added._fields, *people)
    if refused:
        print()
        print_table(
            ("refused", "why"), *((os.path.relpath(path, options.folder), reason) for path, reason in sorted(refused))
        )
    added = sum(person.added for person in people)
    if not added and not any(person.known for person in people):
        raise CommandError("no picture was enrolled")
    say(f"{added} pictures were added in {time.monotonic() - start:.0f} s.")


def _enrol(
    enrolment: Enrolment, pictures: dict[str, list[Path]], portraits_of: Portraits
) -> Iterator[tuple[Added, list[Refused]]]:
    """Enrol one person after the other, while threads recognize the pictures of those who come next.

    Args:
        enrolment: into the gallery.
        pictures: the paths of each person's pictures, by name. One that shows several people is recognized once.
        portraits_of: the person's faces in a picture.

    Yields:
        What became of a person's pictures, and why some were refused.
    """
    known_of: dict[Path, frozenset[str]] = {}
    for name, paths in pictures.items():
        known_pictures = enrolment.known_pictures(name)
        for path in paths:
            known_of[path] = known_of.get(path, known_pictures) & known_pictures
    with _threads() as pool, tqdm(desc="Finding faces", total=len(known_of), unit=" pictures", disable=None) as bar:

        def look(path: Path) -> PictureResult | str | None:
            result = enrolment.look(path, known_of[path])
            bar.update()
            return result

        futures = {path: pool.submit(look, path) for path in known_of}
        looking = {name: [(path, futures[path]) for path in paths] for name, paths in pictures.items()}
        del futures  # what was found in a picture goes once its last person is enrolled
        for name in pictures:
            yield _enrol_person(enrolment, name, looking.pop(name), portraits_of)


def _enrol_person(
    enrolment: Enrolment,
    name: str,
    looking: list[tuple[Path, Future[PictureResult | str | None]]],
    portraits_of: Portraits,
) -> tuple[Added, list[Refused]]:
    """Enrol a person once all pictures of the person are recognized."""
    known = 0
    refused: list[Refused] = []
    portraits: list[tuple[Path, Portrait]] = []
    for path, future in looking:
        result = future.result()
        if result is None:
            known += 1
        elif isinstance(result, str):
            refused.append(Refused(path, result))
        else:
            try:
                portraits += [(path, portrait) for portrait in portraits_of(name, path, result)]
            except CodedError as error:
                refused.append(Refused(path, str(error)))
    selection = enrolment.enrol(name, [portrait for _, portrait in portraits])
    for index, reason in selection.refused.items():
        if isinstance(reason, AlreadyEnrolled):
            known += 1
        else:
            refused.append(Refused(portraits[index][0], str(reason)))
    return Added(name, len(selection.samples), known, len(refused)), refused


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """A thread for each CPU. When the block ends, pictures that wait are given up."""
    pool = ThreadPoolExecutor(available_cpus())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
