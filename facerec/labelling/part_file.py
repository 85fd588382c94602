"""One Parquet file of labels: written whole or not at all, with what made it in its metadata."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from facerec.atomic_write import UNFINISHED, atomic_write
from facerec.inference.jobs import LoadedModels
from facerec.labelling.errors import (
    OutputDamaged,
    OutputNotLabels,
    OutputOfOtherModel,
    OutputOfOtherVersion,
    OutputUnreadable,
    output_errors,
)

FORMAT_VERSION = 1
"""Raise it when columns or their meaning change."""

_KEY = b"facerec.labels"


class Origin(BaseModel):
    """What made the rows of a file. It is in the metadata of its schema."""

    model_config = ConfigDict(frozen=True)

    format_version: int = FORMAT_VERSION
    recognizer: str
    """SHA-256 of the model files in hexadecimal."""
    detector: str
    landmarks: str
    people: str
    """`Matcher.checksum` of the people with whom the faces were matched."""

    @classmethod
    def of(cls, models: LoadedModels, people: str) -> Self:
        """The origin of rows that these models make."""
        return cls(
            recognizer=models.recognizer_checksum,
            detector=models.detector_checksum,
            landmarks=models.landmarks_checksum,
            people=people,
        )

    def check(self, other: Self) -> None:
        """Make sure that rows of the other origin can be kept beside those of this one.

        Raises:
            OutputOfOtherVersion, OutputOfOtherModel: they can't.
        """
        if other.format_version != self.format_version:
            raise OutputOfOtherVersion
        if other.model_copy(update={"people": self.people}) != self:
            raise OutputOfOtherModel

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """For the schema of a file with rows of this origin."""
        return {_KEY: self.model_dump_json().encode()}


def read_origin(path: Path) -> Origin:
    """What made the rows of a file.

    Raises:
        OutputUnreadable, OutputDamaged: it can't be read, or is not a whole Parquet file.
        OutputNotLabels: it holds something else.
    """
    with _reading(path):
        metadata = pq.read_schema(path).metadata or {}
    try:
        return Origin.model_validate_json(metadata[_KEY])
    except (KeyError, ValidationError):
        raise OutputNotLabels.because(path) from None


def read_part(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The rows of a file, all columns or some.

    Raises:
        OutputUnreadable, OutputDamaged: it can't be read, or is not a whole Parquet file.
    """
    with _reading(path), pq.ParquetFile(path) as file:  # `pq.read_table` takes more memory
        return file.read(columns)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise the errors of reading as those of the output. pyarrow's own OSErrors have no errno."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise OutputUnreadable.because(error) from None
        raise OutputDamaged.because(path) from None


def write_part(path: Path, table: pa.Table, origin: Origin) -> None:
    """Write a file that is either whole or absent, whatever happens, a loss of power included.

    Raises:
        OutputError: it can't be written.
    """
    with io.BytesIO() as content:
        pq.write_table(table.replace_schema_metadata(origin.metadata), content, compression="zstd")
        with finished_file(path) as file, output_errors():
            file.write(content.getbuffer())


@contextlib.contextmanager
def finished_file(path: Path, *, before_renaming: Callable[[], object] = lambda: None) -> Iterator[BinaryIO]:
    """A file to write to that gets its name once the block has ended and its content is on the disk.

    If the block fails there is no file. Its own errors stay as they are.

    Raises:
        OutputError: it can't be written.
    """
    with contextlib.ExitStack() as stack:
        with output_errors():
            file = stack.enter_context(atomic_write(path, before_renaming=before_renaming))
        yield file
        with output_errors():
            stack.close()


def remove_unfinished(folder: Path) -> None:
    """Remove what processes left that were killed while they wrote."""
    for path in folder.glob(f"{UNFINISHED}*"):
        path.unlink(missing_ok=True)
