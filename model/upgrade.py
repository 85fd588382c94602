"""Upgrade model files of format 1, which versions before 2026-11-26 wrote.

    uv run -m model.upgrade model/

It rewrites the metadata of face_recognition.onnx and of face_locator.onnx, which becomes face_detector.onnx. Graphs,
weights and all numbers stay as they are, and so do reports and cards.
"""

import json
import sys
from pathlib import Path
from typing import Any

import onnx

from facerec.inference.model_file import (
    DETECTOR_FILE,
    METADATA_KEY,
    RECOGNIZER_FILE,
    DetectorMetadata,
    RecognizerMetadata,
    checksum_path,
    verify_checksum,
    write_checksum,
)
from facerec.training.detection.publish import SECOND_PASS
from facerec.training.onnx_export import save_with_metadata

OLD_DETECTOR_FILE = "face_locator.onnx"

NEW_NAMES = {
    "figures": "metrics",
    "of": "total",
    "strangers": "unknown_source",
    "accepted_strangers": "accepted_unknown",
    "auto": "detect",
    "locator_steps": "steps",
}
"""New names of the fields of the metadata."""


def upgrade(folder: Path) -> list[Path]:
    """Upgrade the model files in `folder` that have format 1.

    Returns:
        The model files that were written.
    """
    written = []
    recognizer = folder / RECOGNIZER_FILE
    if recognizer.exists() and (properties := _old_properties(recognizer)):
        _rewrite(recognizer, recognizer, RecognizerMetadata.model_validate(_recognizer_metadata(properties)))
        written.append(recognizer)
    detector, old_detector = folder / DETECTOR_FILE, folder / OLD_DETECTOR_FILE
    if old_detector.exists() and (properties := _old_properties(old_detector)):
        _rewrite(old_detector, detector, DetectorMetadata.model_validate(_detector_metadata(properties)))
        written.append(detector)
        for old in (old_detector, checksum_path(old_detector)):
            old.unlink()
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
        return {NEW_NAMES.get(name, name): _renamed(content) for name, content in value.items()}
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


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: uv run -m model.upgrade FOLDER")
    for path in upgrade(Path(sys.argv[1])):
        print(f"upgraded {path}")
