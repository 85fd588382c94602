"""An archive of photos that the toy models understand, and tables to compare."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facerec.inference.jobs import WorkerOptions
from facerec.labelling.errors import PathError
from tests.harness import photo, saved

COLOURS = ("red", "lime", "blue", "gray")
"""The toy's people, and nobody."""


def toy_options(model: Path, detector: Path, landmarks: Path) -> WorkerOptions:
    """Workers with toy models."""
    return WorkerOptions(
        recognizer=model,
        detector=detector,
        landmarks=landmarks,
        threads=1,
        max_bytes=10**7,
        max_pixels=25_000_000,
        max_faces=20,
        memory_bytes=2**30,
        cpu_seconds=5,
    )


def toy_photo(number: int) -> bytes:
    """A photo of no, one or two faces. Photos of different numbers up to 1,000 are different files."""
    faces = [(48 + 160 * place, 80, COLOURS[(number + place) % 4]) for place in range(number % 3)]
    return saved(photo(*faces, colour=f"#{number:06x}"))


def write_archive(folder: Path, count: int) -> Path:
    """A folder with `count` photos, ten in each folder, and a picture that is none."""
    for number in range(count):
        path = folder / f"{number // 10:03}" / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(toy_photo(number))
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def stored(output: Path) -> list[dict[str, Any]]:
    """The rows of an output of Parquet, as any reader sees them, in the order of paths and faces."""
    paths = [output] if output.is_file() else list(output.glob("*.parquet"))
    tables = [pq.read_table(path) for path in paths if not path.name.startswith(".")]
    return in_order([row for table in tables for row in table.to_pylist()])


def rows_of(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    """The rows of batches, in the order of paths and faces."""
    return in_order([row for batch in batches for row in batch.to_pylist()])


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in the order of paths and faces."""
    return sorted(rows, key=lambda row: (row["path"], row["face"] or 0))


class Reports:
    """Keeps what is reported of paths."""

    def __init__(self) -> None:
        self.errors: dict[str, PathError] = {}

    def __call__(self, path: str, error: PathError) -> None:
        assert path not in self.errors
        self.errors[path] = error

    @property
    def codes(self) -> dict[str, str]:
        """The code of each path's error."""
        return {path: error.code for path, error in self.errors.items()}
