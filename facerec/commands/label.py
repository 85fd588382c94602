"""`facerec label`: who is in the pictures of an archive."""

import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn, Self

from tqdm import tqdm

from facerec.commands.console import CommandError, one_line, print_table, say
from facerec.commands.gallery import describe, locate
from facerec.commands.options import Label
from facerec.commands.sidecars import write_sidecars
from facerec.inference.cpus import available_cpus
from facerec.inference.model_file import shipped_recognizers
from facerec.inference.recognizer import FaceRecognizer
from facerec.labelling.archive import People, Progress, is_folder, label_archive
from facerec.labelling.errors import OutputClosed, PathError, output_errors
from facerec.labelling.grouping import group_unknown_faces
from facerec.labelling.labeller import FETCH_SECONDS
from facerec.labelling.ray_cluster import label_on_cluster
from facerec.labelling.report.page import write_report
from facerec.labelling.sources import find_pictures, read_list
from facerec.models import MAX_BYTES, MAX_PIXELS, choose_recognizer, worker_options
from facerec.people.reader import stored_embedding
from facerec.pictures.fetch import FetchLimits

_PEOPLE_LISTED = 20
"""People of the summary, those with the most faces."""


def label(options: Label) -> None:
    """Label the pictures, and print a summary to standard error.

    Raises:
        CommandError: there are no pictures, or options contradict each other.
        LabellingError: the labels can't be written.
        StoreError: the gallery can't be used.
        InferenceError: a model can't be used.
        KeyboardInterrupt: after Ctrl-C. The message says whether the run can go on.
        BrokenPipeError: whoever reads standard output has seen enough.
    """
    paths = _paths(options)
    _check(options)
    location = locate(options.gallery)
    model = choose_recognizer(options.model, location, otherwise="accurate")
    enrolled = "" if stored_embedding(location) else ", where nobody is enrolled yet"
    say(f"Labelling with {model.path.name}, {model.reason}, and the people of {describe(location)}{enrolled}.")
    start = time.monotonic()
    try:
        with _Bar(paths) as bar:
            label_all = (
                partial(label_on_cluster, address=options.ray)
                if options.ray
                else partial(label_archive, workers=options.workers or available_cpus())
            )
            progress = label_all(
                paths,
                options.output,
                worker_options(model.path),
                people=People(gallery=location, shipped_people=options.shipped_people),
                report=bar.report,
                on_progress=bar.show,
            )
            bar.finish(progress)
        if not progress.found:
            raise CommandError("no picture was found: check the paths")
        _summarize(progress, time.monotonic() - start)
        if options.group:
            _group(Path(options.output), model.path)
        if options.report:
            _report(options, options.report)
        if options.xmp:
            write_sidecars(paths, Path(options.output), yes=options.yes)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "what was done is kept, and the same command goes on from there"
            if is_folder(options.output)
            else "a folder as --output could go on from here, a file or - can't"
        ) from None
    except OutputClosed:
        raise BrokenPipeError from None


def _check(options: Label) -> None:
    """Refuse options that contradict each other, and a report that can't be written.

    Raises:
        CommandError: there are such options, or the report is a folder.
        OutputError: the report's folder can't be made.
    """
    for name in ("group", "report", "xmp"):
        if getattr(options, name) and not is_folder(options.output):
            raise CommandError(f"--{name} needs the labels of a folder: let --output be a folder")
    if options.report:
        if options.report.is_dir():
            raise CommandError(f"--report is a file such as {options.report / 'report.html'}, not a folder")
        with output_errors():  # now, not after hours of work
            options.report.parent.mkdir(parents=True, exist_ok=True)
    if options.workers is not None and options.ray:
        raise CommandError("--workers is for this machine, with --ray there is a worker for each CPU of the cluster")
    if options.workers is not None and options.workers < 1:
        raise CommandError("--workers is a number of processes, at least 1")


def _paths(options: Label) -> list[str]:
    """The paths of the command line and those of the list.

    Raises:
        CommandError: there are none, or the list can't be read.
    """
    try:
        listed = list(read_list(options.list_file)) if options.list_file else []
    except OSError as error:
        raise CommandError(f"can't read {options.list_file}: {error.strerror}") from error
    if not options.paths and not listed:
        raise CommandError("give the paths of pictures or folders, or a --list of them")
    return [*options.paths, *listed]


class _Bar:
    """The progress bar of a run. Pictures are counted in a thread, so that it can tell how much time is left.

    Args:
        paths: what is labelled.
    """

    def __init__(self, paths: list[str]) -> None:
        self._bar = tqdm(desc="Labelling", unit=" pictures", disable=None)
        self._ended = threading.Event()
        self._count = threading.Thread(target=self._count_pictures, args=(paths,), daemon=True)

    def __enter__(self) -> Self:
        if not self._bar.disable:
            self._count.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if not self._bar.disable:
            self._count.join()
        self._bar.close()

    def report(self, path: str, error: PathError) -> None:
        """Print a line about a path that can't be searched."""
        self._bar.write(one_line(f"{path}: {error}"), file=sys.stderr)

    def show(self, progress: Progress) -> None:
        """Show how far the run is."""
        self._bar.set_postfix_str(f"{progress.faces} faces", refresh=False)
        self._bar.update(progress.unchanged + progress.pictures - self._bar.n)

    def finish(self, progress: Progress) -> None:
        """Show the end of the run. The total is that of the run, which does no picture twice."""
        self._ended.set()
        self.show(progress)
        self._bar.total = progress.found

    def _count_pictures(self, paths: list[str]) -> None:
        total = 0
        for path in paths:  # one by one: which of them lead to the same pictures takes memory to know
            for _ in find_pictures(path, lambda *_: None):
                total += 1
                if self._ended.is_set():
                    return
        if not self._ended.is_set():
            self._bar.total = total


def _group(labels: Path, recognizer: Path) -> None:
    """Give unknown people groups, and print how many there are."""
    metadata = FaceRecognizer.load(recognizer, threads=1).metadata
    with tqdm(desc="Grouping", unit=" faces", disable=None) as bar:
        grouping = group_unknown_faces(labels, metadata, on_progress=partial(_show, bar))
    say(
        f"Of {grouping.unknown} faces of unknown people {grouping.usable} are good enough to be grouped: "
        f"{grouping.grouped} are in {grouping.groups} groups."
    )


def _report(options: Label, report: Path) -> None:
    """Write the page, and print where it is."""
    labels = Path(options.output)
    limits = FetchLimits(deadline=FETCH_SECONDS, max_bytes=MAX_BYTES)
    with tqdm(desc="Cutting out faces", unit=" pictures", disable=None) as bar:
        write_report(
            labels,
            report,
            limits,
            max_pixels=MAX_PIXELS,
            naming_options=_naming_options(options),
            on_progress=partial(_show, bar),
        )
    say(f"The report is {report}.")


def _naming_options(options: Label) -> list[str]:
    """What `facerec people name` needs to enrol in the same gallery with the same model, where they are not the usual.

    The address of a database may hold a password, so that `URL` stands for it.
    """
    words = []
    if options.gallery is not None:
        words += ["--gallery", "URL" if "://" in options.gallery else str(Path(options.gallery).absolute())]
    if options.model is not None and options.model not in shipped_recognizers():
        words += ["--model", str(Path(options.model).absolute())]
    return words


def _show(bar: "tqdm[NoReturn]", done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


def _print_people(title: str, faces: Mapping[str, int] | Mapping[str | None, int]) -> None:
    """Print the people with the most faces, `None` as unknown people."""
    ranking = sorted(((name or "(unknown)", count) for name, count in faces.items()), key=lambda row: -row[1])
    if ranking:
        print_table(("person", title), *ranking[:_PEOPLE_LISTED], file=sys.stderr)
    if (further := len(ranking) - _PEOPLE_LISTED) > 0:
        say(f"And {further} further people.")


def _summarize(progress: Progress, seconds: float) -> None:
    """Print what a run has done."""
    say(
        f"{progress.pictures} pictures with {progress.faces} faces, of which {progress.unknown} are of unknown people, "
        f"in {seconds:.0f} s. {progress.unchanged} pictures have not changed."
    )
    _print_people("faces", progress.people)
    if progress.renamed:
        say(f"The people have changed: {progress.renamed.total()} faces of earlier runs were given other names.")
        _print_people("faces of earlier runs", progress.renamed)
    if progress.errors:
        errors = ((code, count, progress.messages[code]) for code, count in progress.errors.most_common())
        print_table(("error", "number", "message"), *errors, file=sys.stderr)
