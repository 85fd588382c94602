"""`facerec people add`: enrol the people of a folder."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from facerec.commands.console import CommandError, print_table, say
from facerec.commands.enrolment import Enrolment
from facerec.commands.folder import Refused, search_folder
from facerec.commands.gallery import describe, locate
from facerec.commands.options import AddPeople
from facerec.inference.cpus import available_cpus
from facerec.inference.results import PictureResult
from facerec.models import choose_recognizer, load_pipeline
from facerec.people.errors import AlreadyEnrolled
from facerec.people.model_choice import embedding_of
from facerec.people.store import PeopleStore


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
    pictures, refused = search_folder(options.folder)
    location = locate(options.gallery)
    model = choose_recognizer(options.model, location, otherwise="accurate")
    pipeline = load_pipeline(model.path)
    embedding = embedding_of(pipeline.recognizer.metadata, pipeline.recognizer.checksum)
    people: list[Added] = []
    with closing(PeopleStore(location, embedding)) as store:
        say(f"Enrolling in {describe(location)} with {model.path.name}, {model.reason}.")
        for person, reasons in _enrol(Enrolment(pipeline, store, force=options.force), pictures):
            people.append(person)
            refused.extend(reasons)
    if people:
        print_table(Added._fields, *people)
    if refused:
        print()
        print_table(
            ("refused", "why"), *((path.relative_to(options.folder), reason) for path, reason in sorted(refused))
        )
    added = sum(person.added for person in people)
    if not added and not any(person.known for person in people):
        raise CommandError("no picture was enrolled")
    say(f"{added} pictures were added in {time.monotonic() - start:.0f} s.")


def _enrol(enrolment: Enrolment, pictures: dict[str, list[Path]]) -> Iterator[tuple[Added, list[Refused]]]:
    """Enrol one person after the other, while threads recognize the pictures of those who come next.

    Args:
        enrolment: into the gallery.
        pictures: the paths of each person's pictures, by name.

    Yields:
        What became of a person's pictures, and why some were refused.
    """
    number = sum(map(len, pictures.values()))
    with _threads() as pool, tqdm(desc="Finding faces", total=number, unit=" pictures", disable=None) as bar:

        def look(path: Path, known: frozenset[str]) -> PictureResult | str | None:
            result = enrolment.look(path, known)
            bar.update()
            return result

        looking = {
            name: [pool.submit(look, path, known) for path in paths]
            for name, paths in pictures.items()
            for known in [enrolment.known_pictures(name)]
        }
        for name, paths in pictures.items():
            seen = list(zip(paths, [future.result() for future in looking.pop(name)], strict=True))
            results = [(path, result) for path, result in seen if isinstance(result, PictureResult)]
            refused = [Refused(path, result) for path, result in seen if isinstance(result, str)]
            known = sum(result is None for _, result in seen)
            selection = enrolment.enrol(name, [result for _, result in results])
            for index, error in selection.refused.items():
                if isinstance(error, AlreadyEnrolled):
                    known += 1
                else:
                    refused.append(Refused(results[index][0], str(error)))
            yield Added(name, len(selection.samples), known, len(refused)), refused


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """A thread for each CPU. When the block ends, pictures that wait are given up."""
    pool = ThreadPoolExecutor(available_cpus())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
