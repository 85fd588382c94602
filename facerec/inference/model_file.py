"""What the ONNX files promise: their inputs, outputs and metadata. Written by learning, read by serving.

One names faces, the other detects them. Preprocessing, calibration and non-maximum suppression are part of the graphs;
names, threshold, metrics and licence are in the metadata. Only the detector's second look, with which its threshold was
chosen, is code: `facerec.inference.detector`. Beside each, `FILE.sha256` holds the checksum.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from facerec.inference.cropping import CROP_SIZE

METADATA_KEY = "facerec"
"""The one entry of the ONNX file's metadata; its value is `ModelMetadata` or `DetectorMetadata` as JSON."""


class Tensor(NamedTuple):
    """Name, ONNX Runtime type and shape of a graph input or output.

    A number in the shape is a length, a name stands for one that varies, and `None` for one that the file fixes.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...]


INPUT = Tensor("images", "tensor(uint8)", ("batch", CROP_SIZE, CROP_SIZE, 3))
"""RGB crops as `facerec.inference.cropping` makes them."""

OUTPUTS = (
    Tensor("probabilities", "tensor(float)", ("batch", None)),
    Tensor("similarities", "tensor(float)", ("batch", None)),
    Tensor("embeddings", "tensor(float)", ("batch", None)),
)
"""Calibrated probabilities `[N, P]` (rows sum to 1), cosine similarities `[N, P]` (-1 to 1) of each crop to each of
the P people, and L2-normalized embeddings `[N, D]`."""

DETECTOR_INPUT = Tensor("image", "tensor(uint8)", ("rows", "columns", 3))
"""An upright RGB picture; both sides are multiples of `DETECTOR_STRIDE`, filled up with black right and below."""
DETECTOR_STRIDE = 32

DETECTOR_OUTPUTS = (Tensor("faces", "tensor(float)", ("faces", 5)),)
"""x, y, size, angle and score of each face as in `facerec.inference.cropping.Face`, by falling score, at most 100, none
twice."""

Fraction = Annotated[float, Field(ge=0, le=1)]


class ModelFileError(Exception):
    """The model file is missing, altered, or not what this version of the project can use. The message says which."""


class Person(BaseModel):
    """One of the people whom the model knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    training_images: Annotated[int, Field(ge=1)]
    test_images: Annotated[int, Field(ge=1)]
    test_recall: Fraction
    """Share of this person's test images that were named rightly."""


class _Metadata(BaseModel):
    """What both files say of themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    version: str
    """Version of the project that made the file."""
    created: AwareDatetime
    metrics: dict[str, float]
    """Those of the report in `model/` that are one number, under its names and in its units."""
    configuration: dict[str, JsonValue]
    """The options of the training run."""
    licence: str

    def to_properties(self) -> dict[str, str]:
        """The ONNX metadata entries that carry this metadata."""
        return {METADATA_KEY: self.model_dump_json()}

    @classmethod
    def from_properties(cls, properties: dict[str, str]) -> Self:
        """Read back what `to_properties` wrote.

        Raises:
            ModelFileError: the entry is absent or not valid.
        """
        if METADATA_KEY not in properties:
            raise ModelFileError(f"its metadata has no {METADATA_KEY!r} entry: it was not exported by train.py")
        try:
            return cls.model_validate_json(properties[METADATA_KEY])
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise ModelFileError(f"its metadata is not valid at {field!r}: {first['msg']}") from None


class ModelMetadata(_Metadata):
    """What the recognizer's file says of itself."""

    people: Annotated[tuple[Person, ...], Field(min_length=2)]
    """In the order of the outputs' columns."""
    embedding_size: Annotated[int, Field(ge=1)]
    threshold: Annotated[float, Field(ge=-1, le=1)]
    """Cosine similarity under which a face is a stranger's."""
    false_accept_rate: Fraction
    """Share of strangers whom the threshold lets pass, on the strangers that chose it."""
    temperature: Annotated[float, Field(gt=0)]
    """`probabilities = softmax(similarities / temperature)`."""


class DetectorMetadata(_Metadata):
    """What the detector's file says of itself."""

    threshold: Fraction
    """Score under which something is no face."""
    long_side: Annotated[int, Field(ge=DETECTOR_STRIDE)]
    """Pixels of the long side that larger pictures are shrunk to before their faces are detected."""


def checksum_path(model: Path) -> Path:
    """Where the checksum of `model` stands."""
    return model.with_name(model.name + ".sha256")


def write_checksum(model: Path) -> None:
    """Write `model`'s SHA-256 beside it, in the format of `sha256sum`."""
    checksum_path(model).write_text(f"{file_sha256(model)}  {model.name}\n")


def verify_checksum(model: Path) -> str:
    """The SHA-256 of `model` in hexadecimal, once it is found to equal the one written beside it.

    Raises:
        ModelFileError: a file is missing, or the two differ.
    """
    beside = checksum_path(model)
    for path in (model, beside):
        if not path.is_file():
            raise ModelFileError(f"{path} is missing: get it from the repository, or train a model with train.py")
    expected = beside.read_text(errors="replace").split()
    actual = file_sha256(model)
    if expected[:1] != [actual]:
        raise ModelFileError(f"{model} is truncated or altered: its SHA-256 is not the one in {beside.name}")
    return actual


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
