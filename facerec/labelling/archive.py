"""Label all pictures of an archive."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from facerec.inference.jobs import LoadedModels, WorkerOptions
from facerec.labelling.errors import OutputNotSupported, PathError
from facerec.labelling.found import FoundPicture, Report
from facerec.labelling.index import PictureIndex
from facerec.labelling.label_folder import PART_SECONDS, LabelFolder
from facerec.labelling.labeller import BATCH_SECONDS, Labeller
from facerec.labelling.matching import Matcher, load_matcher
from facerec.labelling.part_file import Origin
from facerec.labelling.rows import label_schema
from facerec.labelling.single_file import FILE_FORMATS, Write, single_file, write_json_lines
from facerec.labelling.sources import Paths, find_pictures

STANDARD_OUTPUT = "-"

MakeRows = Callable[[Iterable[FoundPicture], Matcher], Iterator[pa.RecordBatch]]
"""Makes the rows of pictures, all rows of a picture in the same batch, as `Labeller.label` does."""


@dataclass
class Progress:
    """What a run has done so far."""

    found: int = 0
    """Pictures of the archive, those that are done already included."""
    unchanged: int = 0
    """Pictures that an earlier run has done."""
    pictures: int = 0
    """Pictures that this run has done, errors included."""
    faces: int = 0
    people: Counter[str] = field(default_factory=Counter)
    """Faces of each person whom the gallery knows."""
    renamed: Counter[str | None] = field(default_factory=Counter)
    """Faces of earlier runs that belong to each person only now, or by `None` to nobody any more."""
    errors: Counter[str] = field(default_factory=Counter)
    """Pictures and paths with an error, by its code."""
    messages: dict[str, str] = field(default_factory=dict)
    """What the first error of each code says."""

    @property
    def unknown(self) -> int:
        """Faces that belong to nobody whom the gallery knows."""
        return self.faces - self.people.total()

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of pictures."""
        first = [face in {None, 0} for face in batch["face"].to_pylist()]
        self.pictures += sum(first)
        self.faces += len(batch) - batch["face"].null_count
        self.people.update(name for name in batch["identity"].to_pylist() if name is not None)
        for code, message in zip(batch["error_code"].to_pylist(), batch["error_message"].to_pylist(), strict=True):
            if code is not None:
                self.add_error(code, message)

    def add_error(self, code: str, message: str) -> None:
        """Count an error of a picture or a path."""
        self.errors[code] += 1
        self.messages.setdefault(code, message)


@dataclass(frozen=True, kw_only=True)
class People:
    """With whom faces are matched.

    Attributes:
        gallery: see `facerec.people.location.gallery_location`. There may be none yet.
        shipped_people: whether the people whom the model knows are matched besides those of the gallery.
        threshold: similarity below which a face belongs to nobody. `None` takes the model's.
    """

    gallery: str | Path | None = None
    shipped_people: bool = True
    threshold: float | None = None

    def matcher(self, models: LoadedModels) -> Matcher:
        """What matches the faces that these models find.

        Raises:
            ValueError: the gallery is a URL of another form.
            StoreError: the gallery can't be read, or was made with another model.
        """
        return load_matcher(models, self.gallery, shipped_people=self.shipped_people, threshold=self.threshold)


def label(
    paths: Paths,
    options: WorkerOptions,
    *,
    workers: int,
    people: People | None = None,
    report: Report = lambda path, error: None,  # noqa: ARG005
) -> Generator[pa.RecordBatch, None, None]:
    """The rows of all pictures that paths name, see `rows.Row`. They come in any order.

    The processes end with the generator: once it has come to its end, or is closed.

    Args:
        paths: see `find_pictures`.
        options: the models, and what a picture may take.
        workers: number of processes. Use one for each CPU.
        people: with whom faces are matched. By default the model's people and those of the usual gallery.
        report: is told of each path that can't be searched.

    Raises:
        ModelFileError: a model file can't be used.
        WorkerLost: the workers did not start.
        StoreError: the gallery can't be read, or was made with another model.
    """
    with Labeller(options, workers=workers) as labeller:
        yield from labeller.label(find_pictures(paths, report), (people or People()).matcher(labeller.models))


def label_archive(
    paths: Paths,
    output: str,
    options: WorkerOptions,
    *,
    workers: int,
    people: People | None = None,
    report: Report = lambda path, error: None,  # noqa: ARG005
    on_progress: Callable[[Progress], None] = lambda progress: None,  # noqa: ARG005
    part_seconds: float = PART_SECONDS,
) -> Progress:
    """Write the rows of all pictures that paths name, see `rows.Row`.

    A folder keeps what was done, see `LabelFolder`: a run that was stopped goes on where it was, pictures that have not
    changed are not done again, and if the gallery has changed, faces are matched anew without reading a picture. Rows
    of pictures that are not among `paths` stay. A file or standard output can do none of this.

    Args:
        paths: see `find_pictures`.
        output: a folder, a file that ends in `.parquet`, `.csv` (without embeddings) or `.jsonl`, or `-` for JSON lines
            on standard output.
        options: the models, and what a picture may take.
        workers: number of processes. Use one for each CPU.
        people: with whom faces are matched. By default the model's people and those of the usual gallery.
        report: is told of each path that can't be searched.
        on_progress: is called after each second or so.
        part_seconds: seconds of work that a folder lacks at most if the run is killed.

    Raises:
        OutputError: the labels can't be written, or go on where they were.
        ModelFileError: a model file can't be used.
        WorkerLost: the workers did not start.
        StoreError: the gallery can't be read, or was made with another model.
    """
    check_output(output)
    with Labeller(options, workers=workers) as labeller:
        make_rows = partial(labeller.label, batch_seconds=min(part_seconds, BATCH_SECONDS))
        return write_labels(
            *(labeller.models, make_rows, paths, output),
            people=people,
            report=report,
            on_progress=on_progress,
            part_seconds=part_seconds,
        )


def write_labels(
    models: LoadedModels,
    make_rows: MakeRows,
    paths: Paths,
    output: str,
    *,
    people: People | None,
    report: Report,
    on_progress: Callable[[Progress], None],
    part_seconds: float,
) -> Progress:
    """Write the rows of all pictures that paths name, whoever recognizes them. See `label_archive`.

    Args:
        models: what recognizes.
        make_rows: recognizes the people in pictures.

    Raises:
        OutputError: the labels can't be written, or go on where they were.
        StoreError: the gallery can't be read, or was made with another model.
    """
    progress = Progress()

    def report_and_count(path: str, error: PathError) -> None:
        progress.add_error(error.code, str(error))
        report(path, error)

    matcher = (people or People()).matcher(models)
    origin, schema = Origin.of(models, matcher.checksum), label_schema(models.recognizer.embedding_size)
    with _opened(output, schema, origin, matcher, part_seconds) as (write, index, renamed):
        progress.renamed = renamed
        found = find_pictures(paths, report_and_count)
        pictures = _to_do(found, index, progress, on_progress)
        for batch in make_rows(pictures, matcher):
            write(batch)
            progress.add(batch)
            on_progress(progress)
    return progress


def check_output(output: str) -> None:
    """Make sure that labels can be written to an output of this name.

    Raises:
        OutputNotSupported: it ends like a file of another kind, or is an address.
    """
    path = Path(output)
    other_file = path.suffix and path.suffix.lower() not in FILE_FORMATS and not _is_existing_folder(path)
    if "://" in output or (other_file and not output.endswith("/")):
        raise OutputNotSupported


def is_folder(output: str) -> bool:
    """Whether labels that are written to an output of this name are in a folder, which keeps what was done."""
    path = Path(output)
    is_file = path.suffix.lower() in FILE_FORMATS and not _is_existing_folder(path) and not output.endswith("/")
    return output != STANDARD_OUTPUT and not is_file


def _is_existing_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where it may not be looked at


@contextmanager
def _opened(
    output: str, schema: pa.Schema, origin: Origin, matcher: Matcher, part_seconds: float
) -> Iterator[tuple[Write, PictureIndex | None, Counter[str | None]]]:
    """What writes to an output, the pictures that are done there, and `LabelFolder.renamed`."""
    if is_folder(output):
        with LabelFolder(Path(output), schema, origin, matcher, part_seconds=part_seconds) as folder:
            yield folder.write, folder.index, folder.renamed
    elif output == STANDARD_OUTPUT:
        stdout = sys.stdout.buffer
        yield lambda batch: write_json_lines(batch, stdout), None, Counter()
    else:
        with single_file(Path(output), schema, origin) as write:
            yield write, None, Counter()


def _to_do(
    pictures: Iterable[FoundPicture],
    index: PictureIndex | None,
    progress: Progress,
    on_progress: Callable[[Progress], None],
) -> Iterator[FoundPicture]:
    """The pictures that are not done. It may pass over millions before the first of them."""
    told = time.monotonic()
    for picture in pictures:
        progress.found += 1
        if time.monotonic() - told >= BATCH_SECONDS:
            on_progress(progress)
            told = time.monotonic()
        if index is not None and index.is_done(picture):
            progress.unchanged += 1
        else:
            yield picture
