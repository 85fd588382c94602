"""Say before a run starts which files it will replace, and whether it can write them at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facerec.inference.model_file import (
    ACCURATE_RECOGNIZER_FILE,
    DETECTOR_FILE,
    LANDMARKS_FILE,
    RECOGNIZER_FILE,
    checksum_path,
)
from facerec.training.errors import OptionError, OutputError
from facerec.training.options import (
    AnyOptions,
    DetectorOptions,
    ExploreOptions,
    LandmarkOptions,
    RecognizerOptions,
    TuneOptions,
    existing_part,
    option_name,
)
from facerec.training.safe_text import printable

_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
"""Errors of a full disk, and of a place that may not be written."""

DATA_PLOTS = ("classes", "split", "samples", "properties")
"""The plots of a data set."""
TRAINING_PLOTS = ("augmented", "learning")
"""The plots of a recognizer's training."""
EVALUATION_PLOTS = ("confusion", "recall", "reliability", "similarities", "open_set")
"""The plots of a recognizer's evaluation."""


def check_outputs(options: AnyOptions) -> None:
    """Make sure that the run can write its files, and print which of them it replaces.

    Raises:
        OptionError: a folder can't be made or written, which the message names by its option, or there is a folder in
            the place of a file.
    """
    folders = _folders(options)
    for name, folder in folders.items():
        _check_writable(name, folder)
    there = [path for path in written_files(options) if os.path.lexists(path)]
    if in_the_way := next((path for path in there if path.is_dir()), None):
        raise OptionError(f"{in_the_way} is a folder, in the place of a file that is written: move it away.")
    if there and os.environ.get("RANK", "0") == "0":  # torchrun starts several processes
        named = [option_name(name) for name in ("output", "images") if name in folders]
        advice = f"{' and '.join(named)} {'put' if len(named) > 1 else 'puts'} them elsewhere"
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        print(f"Replaces {printable(str(there[0]))}{more}; {advice}.", flush=True)


@contextmanager
def explained_write_errors() -> Iterator[None]:
    """Turn the failure of writing a result, such as on a full disk, into an error that says what to do.

    Raises:
        OutputError: a result can't be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _WRITE_ERRORS:
            raise
        raise OutputError(
            f"can't write the results: {error}. What was trained is kept: once that is mended, run the same command "
            "again, with --resume where it trains."
        ) from error


def written_files(options: AnyOptions) -> list[Path]:
    """The files that a run leaves in the folders for models and plots."""
    folders = _folders(options)
    models, plots = folders.get("output", Path()), folders.get("images", Path())
    match options:
        case TuneOptions():
            return [models / "tuning.csv", plots / "tuning.png"]
        case RecognizerOptions() if options.model.backbone == "dlib-resnet":
            drawn = [*DATA_PLOTS, *(f"accurate/{name}" for name in EVALUATION_PLOTS)]
            return [*_model_files(models / ACCURATE_RECOGNIZER_FILE), *_plot_files(plots, drawn)]
        case RecognizerOptions():
            drawn = [*DATA_PLOTS, *TRAINING_PLOTS, *EVALUATION_PLOTS]
            return [*_model_files(models / RECOGNIZER_FILE), *_plot_files(plots, drawn)]
        case DetectorOptions():
            return _model_files(models / DETECTOR_FILE)
        case LandmarkOptions():
            return _model_files(models / LANDMARKS_FILE)
        case ExploreOptions():
            return _plot_files(plots, [*DATA_PLOTS])


def _model_files(model: Path) -> list[Path]:
    return [model, checksum_path(model), model.with_suffix(".json"), model.with_suffix(".md")]


def _plot_files(folder: Path, names: list[str]) -> list[Path]:
    return [folder / f"{name}.png" for name in names]


def _folders(options: AnyOptions) -> dict[str, Path]:
    """The folders that a run writes to beside that of the data, by the name of their option."""
    groups: list[Any] = [options, *vars(options).values()]
    found = {
        name: getattr(group, name)
        for group in groups
        for name in ("checkpoints", "output", "images")
        if hasattr(group, name)
    }
    if isinstance(options, RecognizerOptions) and options.model.backbone == "dlib-resnet":
        del found["checkpoints"]  # nothing is trained
    return found


def _check_writable(name: str, folder: Path) -> None:
    """Make sure that files can be made in a folder, or in the one in which it would be made.

    Raises:
        OptionError: they can't.
    """
    there = existing_part(folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise OptionError(
            f"{option_name(name)}: can't write to {there.absolute()}: {error.strerror}. Name another folder."
        ) from error
