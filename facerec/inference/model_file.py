"""The format of the three ONNX files: names, types and shapes of their tensors, their metadata and their checksums.

`facerec.training` writes the files, `facerec.inference` reads them. The graphs include preprocessing, calibration and
non-maximum suppression. Beside each file, `FILE.sha256` holds its checksum.
"""

import codecs
import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from facerec.inference.cropping import CROP_SIZE
from facerec.inference.errors import ModelFileError
from facerec.inference.false_matches import FalseMatches

RECOGNIZER_FILE = "face_recognition.onnx"
ACCURATE_RECOGNIZER_FILE = "face_recognition_accurate.onnx"
DETECTOR_FILE = "face_detector.onnx"
LANDMARKS_FILE = "face_landmarks.onnx"


def shipped_models() -> Path:
    """The folder of the models that come with this project: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "model"
    return installed if installed.is_dir() else package.parent / "model"


def shipped_recognizers() -> dict[str, Path]:
    """The recognizers that come with this project, by the words that stand for them."""
    files = {"default": RECOGNIZER_FILE, "accurate": ACCURATE_RECOGNIZER_FILE}
    return {word: shipped_models() / file for word, file in files.items()}


_COMMANDS = {
    ACCURATE_RECOGNIZER_FILE: "uv run train.py --backbone dlib-resnet",
    DETECTOR_FILE: "uv run train.py detector",
    LANDMARKS_FILE: "uv run train.py landmarks",
}
"""What makes the files. Those of other names are recognizers of `uv run train.py`."""

METADATA_KEY = "facerec"
"""The only entry of the ONNX file's metadata. Its value is `RecognizerMetadata`, `DetectorMetadata` or
`LandmarkMetadata` as JSON."""


class Tensor(NamedTuple):
    """Name, ONNX Runtime type and shape of an input or output of a graph.

    In the shape, a number is a fixed length, a name is a length that varies between runs, and `None` is a length that
    differs between files.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...]


RECOGNIZER_INPUTS = (Tensor("images", "tensor(uint8)", ("batch", None, None, 3)),)
"""RGB crops as `facerec.inference.face_cropper` makes them, `RecognizerMetadata.crop_size` pixels on a side."""

RECOGNIZER_OUTPUTS = (
    Tensor("probabilities", "tensor(float)", ("batch", None)),
    Tensor("similarities", "tensor(float)", ("batch", None)),
    Tensor("embeddings", "tensor(float)", ("batch", None)),
    Tensor("directions", "tensor(float)", (None, None)),
)
"""For N crops and P people: calibrated probabilities `[N, P]` (rows sum to 1), cosine similarities `[N, P]` (-1 to 1)
and L2-normalized embeddings `[N, D]`; the people's L2-normalized directions `[P, D]`, which do not depend on the crops.
The similarities are the products of embeddings and directions."""

DETECTOR_STRIDE = 32
"""The sides of the detector's input are multiples of this many pixels."""

DETECTOR_INPUTS = (Tensor("image", "tensor(uint8)", ("rows", "columns", 3)),)
"""An upright RGB picture, padded with black at the right and at the bottom."""

DETECTOR_OUTPUTS = (Tensor("faces", "tensor(float)", ("faces", 5)),)
"""The fields of `facerec.inference.cropping.Face` for each face, by falling score: at most 100 faces, no duplicates."""

LANDMARK_INPUTS = (Tensor("images", "tensor(uint8)", ("batch", None, None, 3)),)
"""RGB crops as `facerec.inference.landmark_predictor` makes them. Their sides are `LandmarkMetadata.crop_size`."""

LANDMARK_OUTPUTS = (Tensor("points", "tensor(float)", ("batch", 5, 2)),)
"""x and y of the five points of each face, in the order of `facerec.inference.alignment.Landmarks`.

The unit is the side of the face's square, the origin its centre. The axes are those of the face turned upright."""

Fraction = Annotated[float, Field(ge=0, le=1)]


class Alignment(BaseModel):
    """How the faces are aligned that a recognizer was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop_size: Annotated[int, Field(ge=32, le=512)]
    """Side of a crop in pixels."""
    points: Annotated[tuple[tuple[float, float], ...], Field(min_length=5, max_length=5)]
    """Where a crop shows the five points of a face: x and y in pixels, in the order of `alignment.Landmarks`."""


class Person(BaseModel):
    """A person whom the recognizer knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    training_images: Annotated[int, Field(ge=1)]
    test_images: Annotated[int, Field(ge=1)]
    test_recall: Fraction
    """Fraction of this person's test images that were named correctly."""


class ModelMetadata(BaseModel):
    """Metadata that all files have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[2] = 2
    version: str
    """Version of the project that trained the model."""
    created: AwareDatetime
    metrics: dict[str, float]
    """The metrics of the report that are single numbers, with the report's names and units."""
    configuration: dict[str, JsonValue]
    """The options of the training run."""
    licence: str
    """What the weights were trained from and the licence that they carry, as the end of a sentence."""

    def to_properties(self) -> dict[str, str]:
        """The entries for the ONNX file's metadata."""
        return {METADATA_KEY: self.model_dump_json()}

    @classmethod
    def from_properties(cls, properties: dict[str, str]) -> Self:
        """Read the metadata back from the ONNX file's entries.

        Raises:
            ModelFileError: the entry is missing, invalid, or of an older format.
        """
        if METADATA_KEY not in properties:
            raise ModelFileError(f"its metadata has no {METADATA_KEY!r} entry: it was not exported by train.py")
        try:
            return cls.model_validate_json(properties[METADATA_KEY])
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            if _format_version(properties[METADATA_KEY]) == 1:
                raise ModelFileError(
                    "its format is that of an older version of this project: upgrade it with "
                    "`uv run -m model.upgrade FOLDER`"
                ) from None
            field = ".".join(map(str, first["loc"]))
            raise ModelFileError(f"its metadata is not valid at {field!r}: {first['msg']}") from None


def _format_version(text: str) -> object:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value.get("format_version") if isinstance(value, dict) else None


Backbone = Literal["mobilenet-v3-large", "dlib-resnet"]
"""The networks that recognizers are made of."""


class RecognizerMetadata(ModelMetadata):
    """Metadata of the recognizer's file."""

    backbone: Backbone = "mobilenet-v3-large"
    alignment: Alignment | None = None
    """`None` if the crops are those of `cropping.crop_face`, which places the face's square and knows no points."""

    people: Annotated[tuple[Person, ...], Field(min_length=2)]
    """In the order of the outputs' columns."""
    embedding_size: Annotated[int, Field(ge=1, le=4096)]
    embedding_id: str | None = None
    """Embeddings of two files are comparable if both have the same. It depends on the network's weights and on the
    alignment, not on people, threshold and temperature."""
    threshold: Annotated[float, Field(ge=-1, le=1)]
    """Cosine similarity below which a face belongs to nobody whom the model knows."""
    false_accept_rate: Fraction
    """Fraction of the unknown people whom the threshold accepts, measured on the images that chose it."""
    false_matches: FalseMatches | None = None
    """Gives the threshold where other people are enrolled than those of the model. `None` in files of older versions,
    and where the data had too few unknown people to measure it: then `threshold` serves every gallery."""
    temperature: Annotated[float, Field(gt=0)]
    """`probabilities = softmax(similarities / temperature)`."""

    @property
    def crop_size(self) -> int:
        """Side in pixels of the crops that the recognizer takes."""
        return self.alignment.crop_size if self.alignment else CROP_SIZE


class SecondPass(BaseModel):
    """How the detector checks doubtful faces a second time. The detector's threshold was chosen with these values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_score: Fraction
    """Faces with a lower score in the first pass are dropped."""
    max_score: Fraction
    """Faces with this score or a higher one in the first pass are not checked again."""
    side: Annotated[int, Field(ge=DETECTOR_STRIDE, le=1024, multiple_of=DETECTOR_STRIDE)]
    """Side in pixels of the square picture in which a face is checked."""
    min_iou: Fraction
    """Intersection over union from which a face found in the second pass is the same face."""
    full_score_size: Annotated[float, Field(gt=0)]
    """Pixels of a face in the first pass below which its score is reduced in proportion to its size, because small
    spots are mistaken for faces. The graph reduces the scores of the first pass itself."""


class DetectorMetadata(ModelMetadata):
    """Metadata of the face detector's file."""

    threshold: Fraction
    """Score below which a detection is dropped."""
    long_side: Annotated[int, Field(ge=DETECTOR_STRIDE, le=4096)]
    """Pixels of the long side to which larger pictures are reduced for the first pass."""
    second_pass: SecondPass


class LandmarkMetadata(ModelMetadata):
    """Metadata of the landmark predictor's file."""

    crop_size: Annotated[int, Field(ge=16, le=CROP_SIZE)]
    """Side of the crops in pixels."""
    enlargement: Annotated[float, Field(ge=1, le=4)]
    """Side of the crops as a multiple of the side of the face's square."""
    mean_points: Annotated[tuple[tuple[float, float], ...], Field(min_length=5, max_length=5)]
    """The mean of the points over the faces of the training pictures, in the units of the output."""


def checksum_path(model: Path) -> Path:
    """The path of the file that holds the checksum of `model`."""
    return model.with_name(model.name + ".sha256")


def write_checksum(model: Path) -> None:
    """Write the SHA-256 of `model` beside it, in the format of `sha256sum`."""
    checksum_path(model).write_text(f"{file_sha256(model)}  {model.name}\n")


def verify_checksum(model: Path) -> str:
    """The SHA-256 of `model` in hexadecimal, after comparing it with the checksum beside it.

    Raises:
        ModelFileError: one of the two files is missing or can't be read, or the checksums differ.
    """
    beside = checksum_path(model)
    try:
        for path in (model, beside):
            if not path.is_file():
                command = _COMMANDS.get(model.name, "uv run train.py")
                raise ModelFileError(f"{path} is missing: get it from the repository, or make it with `{command}`")
        expected = _read_checksum(beside)
        actual = file_sha256(model)
    except OSError as error:
        raise ModelFileError(f"{error.filename} can't be read: {error.strerror}. Let this user read it.") from error
    if expected != actual:
        raise ModelFileError(f"{model} is truncated or altered: its SHA-256 is not the one in {beside.name}")
    return actual


def _read_checksum(path: Path) -> str:
    """The checksum in a file as `sha256sum` and its likes on other systems write it: in UTF-8 or UTF-16, any case.

    Raises:
        ModelFileError: the file holds something else.
    """
    with path.open("rb") as file:
        content = file.read(4096)
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    words = content.decode(encoding, errors="replace").split()
    if not words or not re.fullmatch("[0-9a-f]{64}", words[0].lower()):
        raise ModelFileError(f"{path} does not begin with a SHA-256 of 64 hexadecimal digits: write it with sha256sum")
    return words[0].lower()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
