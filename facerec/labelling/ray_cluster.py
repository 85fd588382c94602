"""Label all pictures of an archive on the machines of a Ray cluster.

Ray Data passes blocks of paths to an actor on each CPU. An actor reads the pictures from where it runs, recognizes and
matches the people, and gives back the rows. This process alone writes the output, so that its lock, its parts and going
on after a stop are those of a run on one machine. Where an actor or a machine is lost, Ray does its blocks again
elsewhere; of each block one result arrives. Source: https://docs.ray.io/en/latest/data/data.html
"""

import importlib
import logging
import math
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import islice
from types import ModuleType
from typing import Any

import pyarrow as pa

from facerec.inference.jobs import LoadedModels, WorkerOptions
from facerec.labelling.archive import People, Progress, check_output, write_labels
from facerec.labelling.errors import ClusterFailed, ClusterNotReached, RayNotInstalled
from facerec.labelling.found import FoundPicture, Report
from facerec.labelling.label_folder import PART_SECONDS
from facerec.labelling.labeller import Labeller
from facerec.labelling.matching import Matcher
from facerec.labelling.part_file import Origin
from facerec.labelling.sources import Paths

BLOCK_PICTURES = 32
"""Pictures of a block: some seconds of work, which are lost with an actor. Its rows fit into one block of Ray's, which
would else split them in the middle of a picture."""
DATASET_PICTURES = 250_000
"""Pictures that Ray is given at once: their paths take about 40 MB. The next ones have to wait for the last of these
and for new actors."""

_CONNECT_SECONDS = 10
"""Seconds in which the address must answer. Ray itself would try for minutes and then end the process."""

_PICTURE_SCHEMA = pa.schema([("path", pa.string()), ("bytes", pa.int64()), ("modified", pa.int64())])


def label_on_cluster(
    paths: Paths,
    output: str,
    options: WorkerOptions,
    *,
    address: str,
    people: People | None = None,
    report: Report = lambda path, error: None,  # noqa: ARG005
    on_progress: Callable[[Progress], None] = lambda progress: None,  # noqa: ARG005
) -> Progress:
    """Write the rows of all pictures that paths name, as `label_archive` does.

    This process searches the paths, reads the gallery and writes the output. The cluster's machines must have the same
    version of this project, and pictures and model files at the same paths.

    Args:
        paths: see `find_pictures`.
        output: see `label_archive`.
        options: the models, and what a picture may take.
        address: of the cluster, as `ray.init` takes it: `HOST:PORT`, `auto` for the cluster that this machine is in,
            or `local` for one on this machine alone.
        people: with whom faces are matched. By default the model's people and those of the usual gallery.
        report: is told of each path that can't be searched.
        on_progress: is called after each block, and each second or so of the search.

    Raises:
        RayNotInstalled, ClusterNotReached, ClusterFailed: the cluster can't be used.
        OutputError: the labels can't be written, or go on where they were.
        ModelFileError: a model file can't be used.
        WorkerLost: the models can't be loaded.
        StoreError: the gallery can't be read, or was made with another model.
    """
    check_output(output)
    with _connected(address) as ray:
        with Labeller(options, workers=1) as labeller:
            models = labeller.models

        def make_rows(pictures: Iterable[FoundPicture], matcher: Matcher) -> Iterator[pa.RecordBatch]:
            arguments = {"options": options, "models": models, "matcher": matcher}
            for some in _batched(pictures, DATASET_PICTURES):
                yield from _label(ray, some, arguments)

        return write_labels(
            *(models, make_rows, paths, output),
            people=people,
            report=report,
            on_progress=on_progress,
            part_seconds=PART_SECONDS,
        )


class _LabelBlock:
    """Labels blocks of pictures, in an actor of the cluster.

    Args:
        options: see `Labeller`.
        models: those that must be loaded here too.
        matcher: says whose the faces are. It is used here because one process could not match the faces of many
            machines with a large gallery.

    Raises:
        ClusterFailed: this machine has other models.
    """

    def __init__(self, options: WorkerOptions, models: LoadedModels, matcher: Matcher) -> None:
        self._labeller = Labeller(options, workers=1)
        self._matcher = matcher
        if Origin.of(self._labeller.models, "") != Origin.of(models, ""):
            raise ClusterFailed.because(f"{socket.gethostname()} has other model files")

    def __call__(self, block: pa.Table) -> pa.Table:
        pictures = (FoundPicture(**row) for row in block.to_pylist())
        batches = self._labeller.label(pictures, self._matcher, batch_seconds=math.inf)
        return pa.Table.from_batches(batches, self._labeller.schema)


def _label(ray: ModuleType, pictures: Iterable[FoundPicture], arguments: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    """The rows of pictures, a batch for each block.

    Args:
        ray: the package, connected.
        pictures: are held in memory.
        arguments: of `_LabelBlock`.

    Raises:
        ClusterFailed: an actor can't start, or Ray gave up.
    """
    blocks = [
        pa.Table.from_pylist([picture._asdict() for picture in some], _PICTURE_SCHEMA)
        for some in _batched(pictures, BLOCK_PICTURES)
    ]
    cpus = max(1, int(ray.cluster_resources().get("CPU", 0)))
    rows = ray.data.from_blocks(blocks).map_batches(
        _LabelBlock,
        fn_constructor_kwargs=arguments,
        batch_size=None,
        batch_format="pyarrow",
        # An actor for each CPU. There may be fewer: where a machine is lost, those that are left do all.
        compute=ray.data.ActorPoolStrategy(min_size=1, initial_size=cpus),
        num_cpus=1,
    )
    try:
        with redirect_stdout(sys.stderr):  # Ray prints which machines are lost; standard output may be that of the rows
            for table in rows.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from table.combine_chunks().to_batches()
    except ray.exceptions.RayError as error:
        raise ClusterFailed.because(str(error).strip().rpartition("\n")[2]) from None


def _batched(pictures: Iterable[FoundPicture], size: int) -> Iterator[list[FoundPicture]]:
    """The pictures, so many at a time."""
    rest = iter(pictures)
    while some := list(islice(rest, size)):
        yield some


@contextmanager
def _connected(address: str) -> Iterator[ModuleType]:
    """The package of Ray, connected to a cluster.

    Raises:
        RayNotInstalled, ClusterNotReached: it isn't there, or the cluster isn't.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of this process
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError:
        raise RayNotInstalled from None
    host, colon, port = address.rpartition(":")
    try:
        if colon and port.isdecimal():
            socket.create_connection((host.rpartition("/")[2].strip("[]"), int(port)), _CONNECT_SECONDS).close()
        ray.init(address, include_dashboard=False, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, RuntimeError, SystemExit) as error:
        raise ClusterNotReached.because(error) from None
    try:
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # errors are raised
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        yield ray
    finally:
        ray.shutdown()
