"""The Python API for archives: the rows of `facerec label` as Arrow batches."""

import warnings
from collections.abc import Generator
from pathlib import Path

import pyarrow as pa

from facerec.inference.cpus import available_cpus
from facerec.labelling import archive
from facerec.labelling.archive import People
from facerec.labelling.errors import PathError
from facerec.labelling.sources import Paths
from facerec.models import choose_recognizer, worker_options
from facerec.people.location import gallery_location


def label(
    paths: Paths,
    *,
    model: str | Path | None = None,
    gallery: str | Path | None = None,
    shipped_people: bool = True,
    workers: int | None = None,
) -> Generator[pa.RecordBatch, None, None]:
    """The rows of all pictures that paths name: one for each face, and one for a picture without, or with an error.

    The columns are those of `facerec.labelling.rows.Row`. Pictures come in any order, and all rows of a picture are in
    the same batch. Pictures are recognized in processes of their own, a little ahead of the rows; they end with the
    generator, once it has come to its end or is closed. A path that can't be searched is a warning.

    Args:
        paths: folders, patterns, files, storage addresses such as `s3://bucket/folder`, and URLs of pictures.
        model: path of a recognizer's file, or `default` or `accurate` for the shipped ones. By default what the
            environment variable FACEREC_MODEL says, or the one that the gallery was made with, or `accurate`.
        gallery: as for `facerec.Recognizer.load`.
        shipped_people: whether the people whom the model knows are named besides those who are enrolled.
        workers: number of processes. By default one for each CPU.

    Raises:
        ValueError: the gallery is a URL of another form.
        ModelFileError: a model file is missing or can't be used.
        WorkerLost: the processes did not start.
        StoreError: the gallery can't be read, or was made with another model.
    """
    location = gallery_location(gallery)
    return archive.label(
        paths,
        worker_options(choose_recognizer(model, location, otherwise="accurate").path),
        workers=workers or available_cpus(),
        people=People(gallery=location, shipped_people=shipped_people),
        report=_warn,
    )


def _warn(path: str, error: PathError) -> None:
    warnings.warn(f"{path}: {error}", stacklevel=2)
