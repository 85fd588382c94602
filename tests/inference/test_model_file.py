import errno
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from facerec.inference import model_file
from facerec.inference.errors import ModelFileError
from facerec.inference.model_file import (
    ACCURATE_RECOGNIZER_FILE,
    DETECTOR_FILE,
    LANDMARKS_FILE,
    METADATA_KEY,
    RECOGNIZER_FILE,
    DetectorMetadata,
    Person,
    RecognizerMetadata,
    checksum_path,
    verify_checksum,
    write_checksum,
)
from tests.toy_model import toy_detector_metadata

METADATA = RecognizerMetadata(
    version="1.2.3",
    created=datetime(2025, 1, 1, tzinfo=UTC),
    people=(
        Person(name="Ann", training_images=14, test_images=4, test_recall=0.75),
        Person(name="Bjørn", training_images=3, test_images=1, test_recall=0),
    ),
    embedding_size=256,
    threshold=0.43,
    false_accept_rate=0.01,
    temperature=0.05,
    metrics={"top_1": 0.99},
    configuration={"seed": 0, "weights": "imagenet"},
    licence="none",
)


def test_metadata_survives_the_file() -> None:
    assert RecognizerMetadata.from_properties(METADATA.to_properties()) == METADATA


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 3}, "format_version"),
        ({"threshold": 1.5}, "threshold"),
        ({"temperature": 0}, "temperature"),
        ({"people": []}, "people"),
        ({"embedding_size": 10**9}, "embedding_size"),
        ({"created": "2025-01-01T00:00:00"}, "created"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_metadata_that_is_not_valid_names_the_field(changes: dict[str, object], message: str) -> None:
    content = json.loads(METADATA.to_properties()[METADATA_KEY]) | changes
    with pytest.raises(ModelFileError, match=f"not valid at '{message}'"):
        RecognizerMetadata.from_properties({METADATA_KEY: json.dumps(content)})


def test_a_file_without_metadata() -> None:
    with pytest.raises(ModelFileError, match=r"was not exported by train\.py"):
        RecognizerMetadata.from_properties({})


def test_checksum(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    write_checksum(model)
    expected = hashlib.sha256(b"weights").hexdigest()
    assert verify_checksum(model) == expected
    assert checksum_path(model).read_text() == f"{expected}  model.onnx\n", "the format of sha256sum"


@pytest.mark.parametrize("content", [b"weight", b"weights!", b""])
def test_an_altered_model_is_refused(tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    write_checksum(model)
    model.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.onnx is truncated or altered"):
        verify_checksum(model)


def test_a_model_that_can_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    write_checksum(model)

    def refuse(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(model_file, "file_sha256", refuse)
    with pytest.raises(ModelFileError, match=r"model\.onnx can't be read: Permission denied"):
        verify_checksum(model)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    with pytest.raises(ModelFileError, match=r"model\.onnx is missing"):
        verify_checksum(model)
    model.write_bytes(b"weights")
    with pytest.raises(ModelFileError, match=r"model\.onnx\.sha256 is missing"):
        verify_checksum(model)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (RECOGNIZER_FILE, "uv run train.py"),
        (ACCURATE_RECOGNIZER_FILE, "uv run train.py --backbone dlib-resnet"),
        (DETECTOR_FILE, "uv run train.py detector"),
        (LANDMARKS_FILE, "uv run train.py landmarks"),
        ("mine.onnx", "uv run train.py"),
    ],
)
def test_the_error_of_a_missing_file_says_what_makes_it(tmp_path: Path, name: str, command: str) -> None:
    with pytest.raises(ModelFileError, match=f"is missing: get it from the repository, or make it with `{command}`"):
        verify_checksum(tmp_path / name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_checksum_of_another_system_is_read(tmp_path: Path, encoding: str) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    checksum = hashlib.sha256(b"weights").hexdigest()
    checksum_path(model).write_text(f"{checksum.upper()} *model.onnx\r\n", encoding=encoding)
    assert verify_checksum(model) == checksum


@pytest.mark.parametrize("content", [b"", b"no checksum", b"\xff\xfe", b"ab" * 20, bytes(100)])
def test_a_file_that_holds_no_checksum_is_named(tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    checksum_path(model).write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.onnx\.sha256 does not begin with a SHA-256"):
        verify_checksum(model)


@pytest.mark.parametrize(("field", "value"), [("long_side", 10**9), ("long_side", 8), ("second_pass.side", 32 * 10**6)])
def test_absurd_sizes_are_refused_before_a_picture_of_that_size_is_made(field: str, value: int) -> None:
    content = toy_detector_metadata().model_dump(mode="json")
    (content["second_pass"] if "." in field else content)[field.rpartition(".")[2]] = value
    with pytest.raises(ModelFileError, match=f"not valid at '{field}'"):
        DetectorMetadata.from_properties({METADATA_KEY: json.dumps(content)})
