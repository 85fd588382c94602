"""A gallery as one file, to move people between galleries of the same model.

The file is JSON Lines (https://jsonlines.org) in UTF-8: the first line is a `_Header`, each further one a `_Person`.
All of it is checked before anything is changed, as it may come from anyone. It holds embeddings, which are biometric
data, and no pictures.
"""

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, NamedTuple, Self, TypeVar

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from facerec.atomic_write import atomic_write
from facerec.people.errors import NameNotAllowed
from facerec.people.names import canonical_name
from facerec.people.samples import Box, Embedding, Person, Sample

MAX_FILE_BYTES = 2**30
"""Bytes of a file that is read: about a million samples of 128 values."""
MAX_LINE_BYTES = 2**26
"""Bytes of a line, which is a person."""

_LENGTH_TOLERANCE = 1e-3
"""How far an embedding's length may be from 1."""

_Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class PeopleFileError(Exception):
    """The file can't be read or written, or is not one that `write_people` has written. The message says why."""


class PeopleFile(NamedTuple):
    """What a file holds."""

    embedding: Embedding
    people: dict[str, list[Sample]]
    """The samples of each person, by name in the form of `canonical_name`. They have new ids."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Header(_Line):
    """What the file is."""

    format: Literal["facerec-people"] = "facerec-people"
    version: Literal[1] = 1
    embedding_id: Annotated[str, Field(min_length=1, max_length=200)]
    """The model's, see `Embedding`."""
    embedding_size: Annotated[int, Field(ge=1, le=4096)]
    people: Annotated[int, Field(ge=0)]
    """Number of lines that follow, which tells whether the file is whole."""


class _Sample(_Line):
    """One face of one picture, see `Sample`."""

    embedding: str
    """float32, little-endian, in base64."""
    quality: Annotated[float, Field(ge=0, le=1)]
    picture_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    box: Annotated[list[_Int32], Field(min_length=3, max_length=3)]
    """x, y and size, see `Box`."""
    created: AwareDatetime

    @classmethod
    def of(cls, sample: Sample) -> Self:
        """The line of a sample."""
        return cls(
            embedding=base64.b64encode(sample.embedding.astype("<f4").tobytes()).decode(),
            quality=sample.quality,
            picture_sha256=sample.picture_sha256,
            box=list(sample.box),
            created=sample.created,
        )

    def sample(self, size: int) -> Sample:
        """The sample, with an embedding of `size` values.

        Raises:
            ValueError: the embedding is none.
            OverflowError: in UTC, the time of creation is before the year 1 or after the year 9999.
        """
        data = base64.b64decode(self.embedding, validate=True)
        if len(data) != 4 * size:
            raise ValueError(f"an embedding has {len(data) / 4:g} values, not {size}")
        embedding = np.frombuffer(data, "<f4").astype(np.float32)
        if not abs(float(np.linalg.norm(embedding.astype(np.float64))) - 1) < _LENGTH_TOLERANCE:  # not NaN either
            raise ValueError("an embedding is not of length 1")
        return Sample(embedding, self.quality, self.picture_sha256, Box(*self.box), self.created.astimezone(UTC))


class _Person(_Line):
    """A person with all samples."""

    name: str
    samples: Annotated[list[_Sample], Field(min_length=1)]


_AnyLine = TypeVar("_AnyLine", bound=_Line)


def write_people(path: Path, embedding: Embedding, people: Sequence[Person]) -> None:
    """Write people to a file that its owner alone may read. An older file is replaced once the new one is whole.

    Raises:
        PeopleFileError: the file can't be written.
    """
    header = _Header(embedding_id=embedding.id, embedding_size=embedding.size, people=len(people))
    try:
        with atomic_write(path, mode=0o600) as file:
            file.write(header.model_dump_json().encode() + b"\n")
            for person in people:
                line = _Person(name=person.name, samples=[_Sample.of(sample) for sample in person.samples])
                file.write(line.model_dump_json().encode() + b"\n")
    except OSError as error:
        raise PeopleFileError(f"can't write {path}: {error.strerror}") from error


def read_people(path: Path) -> PeopleFile:
    """Read a file that `write_people` has written, and check all of it.

    Raises:
        PeopleFileError: the file can't be read, is too large, cut off, or holds anything else.
    """
    people: dict[str, list[Sample]] = {}
    count = 0
    try:
        with path.open("rb") as file:
            lines = _lines(file)
            header = _parse(_Header, next(lines, b""), 1)
            for count, line in enumerate(lines, start=1):
                person = _parse(_Person, line, count + 1)
                try:
                    samples = [sample.sample(header.embedding_size) for sample in person.samples]
                    people.setdefault(canonical_name(person.name), []).extend(samples)
                except (NameNotAllowed, ValueError, OverflowError) as error:
                    raise PeopleFileError(f"line {count + 1} of the file is damaged: {error}") from None
    except OSError as error:
        raise PeopleFileError(f"can't read {path}: {error.strerror}") from error
    if count != header.people:
        raise PeopleFileError(f"the file is not whole: it has {count} people, its first line says {header.people}")
    return PeopleFile(Embedding(header.embedding_id, header.embedding_size), people)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, none longer than the limit."""
    total = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        total += len(line)
        if len(line) > MAX_LINE_BYTES or total > MAX_FILE_BYTES:
            raise PeopleFileError(f"the file is larger than {MAX_FILE_BYTES} bytes, or a line than {MAX_LINE_BYTES}")
        yield line


def _parse(kind: type[_AnyLine], line: bytes, number: int) -> _AnyLine:
    """A line of the file.

    Raises:
        PeopleFileError: it is something else.
    """
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        if number == 1:
            raise PeopleFileError("the file was not written by `facerec people export` of this version") from None
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "its start"
        raise PeopleFileError(f"line {number} of the file is damaged at {place}: {first['msg']}") from None
