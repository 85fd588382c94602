"""Upgrade model files of format 1, which versions before 2026-11-26 wrote.

    uv run -m model.upgrade model/

It rewrites the metadata of face_recognition.onnx and of face_locator.onnx, which becomes face_detector.onnx, and writes
their reports and cards with today's names. Graphs, weights and all numbers stay as they are.
"""

import json
import sys
from pathlib import Path
from typing import Any

import onnx
from pydantic import TypeAdapter

from facerec.inference.model_file import (
    DETECTOR_FILE,
    METADATA_KEY,
    RECOGNIZER_FILE,
    DetectorMetadata,
    RecognizerMetadata,
    checksum_path,
    file_sha256,
    verify_checksum,
    write_checksum,
)
from facerec.training.detection.publish import SECOND_PASS
from facerec.training.detection.report import DetectionReport
from facerec.training.onnx_export import save_with_metadata
from facerec.training.recognition.report import RecognitionReport

OLD_DETECTOR_FILE = "face_locator.onnx"

NEW_NAMES = {
    "figures": "metrics",
    "of": "total",
    "strangers": "unknown_source",
    "accepted_strangers": "accepted_unknown",
    "auto": "detect",
    "locator_steps": "steps",
}
"""New names of the fields of reports and metadata."""
NEW_ROWS = {
    "other people, training only": "background people, training only",
    "strangers": "unknown people",
    "frames": "crops",
}
"""New names of the rows that describe the data."""
DROPPED = {"best_epoch", "validation_images"}
"""Fields that reports no longer have."""


def upgrade(folder: Path, *, commit: str | None = None) -> list[Path]:
    """Upgrade the model files in `folder` that have format 1, and their reports and cards.

    Args:
        folder: with the model files.
        commit: version of the code that trained them, for the cards.

    Returns:
        The model files that were rewritten.
    """
    written = []
    recognizer = folder / RECOGNIZER_FILE
    if recognizer.exists() and (properties := _old_properties(recognizer)):
        _rewrite(recognizer, recognizer, RecognizerMetadata.model_validate(_recognizer_metadata(properties)))
        written.append(recognizer)
        report = folder / "report.json"
        if report.exists():
            _recognition_report(json.loads(report.read_text()), commit).write(folder)
    detector, old_detector = folder / DETECTOR_FILE, folder / OLD_DETECTOR_FILE
    if old_detector.exists() and (properties := _old_properties(old_detector)):
        _rewrite(old_detector, detector, DetectorMetadata.model_validate(_detector_metadata(properties)))
        written.append(detector)
        old_report = folder / "face_locator.json"
        if old_report.exists():
            content = json.loads(old_report.read_text()) | {"recognizer": file_sha256(recognizer)}
            _detection_report(content, commit, file_bytes=detector.stat().st_size).write(folder)
        for old in (old_detector, checksum_path(old_detector), old_report, folder / "face_locator.md"):
            old.unlink(missing_ok=True)
    return written


def _old_properties(path: Path) -> dict[str, Any] | None:
    """The metadata of a file of format 1, `None` for other formats."""
    verify_checksum(path)
    proto = onnx.load(path, load_external_data=False)
    entries = {entry.key: entry.value for entry in proto.metadata_props}
    metadata: dict[str, Any] = json.loads(entries.get(METADATA_KEY, "{}"))
    return metadata if metadata.get("format_version") == 1 else None


def _rewrite(old: Path, new: Path, metadata: RecognizerMetadata | DetectorMetadata) -> None:
    unfinished = new.with_name(f".unfinished-{new.name}")
    save_with_metadata(onnx.load(old), unfinished, metadata)
    checksum_path(unfinished).unlink()
    unfinished.replace(new)
    write_checksum(new)


def _renamed(value: Any) -> Any:
    """`value` with the new names of all fields, at any depth."""
    if isinstance(value, dict):
        return {NEW_NAMES.get(name, name): _renamed(content) for name, content in value.items() if name not in DROPPED}
    return [_renamed(item) for item in value] if isinstance(value, list) else value


def _recognizer_metadata(old: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = _renamed(old) | {"format_version": 2}
    configuration = metadata["configuration"]
    framing = configuration.pop("framing", "centre")
    configuration["crop_mode"] = "centre" if framing == "centre" else "detect"
    if framing != "centre":
        configuration["detector"] = framing.replace(OLD_DETECTOR_FILE, DETECTOR_FILE)
    return metadata


def _detector_metadata(old: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = _renamed(old)
    return metadata | {"format_version": 2, "second_pass": SECOND_PASS.model_dump()}


def _recognition_report(old: dict[str, Any], commit: str | None) -> RecognitionReport:
    epochs = len(old["history"])
    report = _renamed(old) | {
        "commit": commit,
        "metadata": _recognizer_metadata(old["metadata"]),
        "data": {
            NEW_ROWS.get(name, name): str(value).replace(OLD_DETECTOR_FILE, DETECTOR_FILE)
            for name, value in old["data"].items()
        },
        "parity": {
            "compared": old["parity"]["images"],
            "equal": old["parity"]["same_top_1"],
            "largest_difference": old["parity"]["largest_difference"],
        },
        "exported_weights": (
            f"an average of the weights over the last steps before the end of epoch {old['best_epoch']} of {epochs}, "
            "the latest epoch whose validation accuracy lies in the 95 % interval of the highest"
        ),
    }
    return TypeAdapter(RecognitionReport).validate_python(report)


def _detection_report(old: dict[str, Any], commit: str | None, *, file_bytes: int) -> DetectionReport:
    report = _renamed(old) | {
        "commit": commit,
        "file_bytes": file_bytes,
        "metadata": _detector_metadata(old["metadata"]),
        "parity": {
            "compared": old["parity"]["faces"],
            "equal": old["parity"]["paired"],
            "largest_difference": old["parity"]["largest_difference"],
        },
    }
    return TypeAdapter(DetectionReport).validate_python(report)


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit("usage: uv run -m model.upgrade FOLDER [COMMIT that trained the models]")
    for path in upgrade(Path(sys.argv[1]), commit=sys.argv[2] if len(sys.argv) == 3 else None):
        print(f"upgraded {path}")
