"""Upgrade model files that older versions of the project wrote.

    uv run -m model.upgrade model/

Files of format 1, which versions before 2026-11-26 wrote: it rewrites the metadata of face_recognition.onnx and of
face_locator.onnx, which becomes face_detector.onnx. Recognizers that lack them get the output `directions`, with which
the service matches faces, and an embedding_id, to which a gallery of enrolled people is bound. Weights and all numbers
stay as they are, and so do reports and cards. Files that lack nothing are left alone.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from facerec.inference.errors import ModelFileError
from facerec.inference.model_file import (
    ACCURATE_RECOGNIZER_FILE,
    DETECTOR_FILE,
    METADATA_KEY,
    RECOGNIZER_FILE,
    Alignment,
    DetectorMetadata,
    RecognizerMetadata,
    checksum_path,
    verify_checksum,
)
from facerec.training.detection.publish import SECOND_PASS
from facerec.training.onnx_export import save_with_metadata

OLD_DETECTOR_FILE = "face_locator.onnx"
DIRECTIONS = "directions"
"""Name of the newest output of recognizers. In older files it is a constant of the graph alone."""

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
    """Upgrade the model files in `folder` that need it.

    Returns:
        The model files that were written.

    Raises:
        ModelFileError: a file is damaged, or is none of this project.
    """
    recognizers = (folder / RECOGNIZER_FILE, folder / ACCURATE_RECOGNIZER_FILE)
    written = [path for path in recognizers if path.exists() and upgrade_recognizer(path)]
    detector, old_detector = folder / DETECTOR_FILE, folder / OLD_DETECTOR_FILE
    if old_detector.exists() and (properties := _old_properties(old_detector)):
        save_with_metadata(
            onnx.load(old_detector), detector, DetectorMetadata.model_validate(_detector_metadata(properties))
        )
        written.append(detector)
        for old in (old_detector, checksum_path(old_detector)):
            old.unlink()
    return written


def upgrade_recognizer(path: Path) -> bool:
    """Upgrade a recognizer's file, and return whether it needed it.

    Raises:
        ModelFileError: the file is damaged, or is none of this project.
    """
    properties = _old_properties(path)
    proto = onnx.load(path)
    if properties:
        metadata = RecognizerMetadata.model_validate(_recognizer_metadata(properties))
    else:
        metadata = RecognizerMetadata.from_properties({entry.key: entry.value for entry in proto.metadata_props})
    outputs = {output.name for output in proto.graph.output}
    if not properties and metadata.embedding_id and DIRECTIONS in outputs:
        return False
    if DIRECTIONS not in outputs:
        values = {weights.name for weights in proto.graph.initializer}.union(
            *(node.output for node in proto.graph.node)
        )
        if DIRECTIONS not in values:
            raise ModelFileError(f"{path} can't be upgraded: its graph holds no {DIRECTIONS!r}. Train it anew.")
        shape = (len(metadata.people), metadata.embedding_size)
        proto.graph.output.append(helper.make_tensor_value_info(DIRECTIONS, TensorProto.FLOAT, shape))
        onnx.checker.check_model(proto, full_check=True)
    if not metadata.embedding_id:
        metadata = metadata.model_copy(update={"embedding_id": embedding_id(proto.graph, metadata.alignment)})
    save_with_metadata(proto, path, metadata)
    return True


def embedding_id(graph: onnx.GraphProto, alignment: Alignment | None) -> str:
    """SHA-256 in hexadecimal of all that decides the output `embeddings`: nodes and weights of the graph, alignment."""
    needed = {"embeddings"}
    nodes = []
    for node in reversed(graph.node):  # each node comes after those whose outputs it takes
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.append(node)
    digest = hashlib.sha256(alignment.model_dump_json().encode() if alignment else b"")
    for part in (*nodes, *(weights for weights in graph.initializer if weights.name in needed)):
        digest.update(part.SerializeToString(deterministic=True))
    return digest.hexdigest()


def _old_properties(path: Path) -> dict[str, Any] | None:
    """The metadata of a file of format 1, `None` for other formats."""
    verify_checksum(path)
    proto = onnx.load(path, load_external_data=False)
    entries = {entry.key: entry.value for entry in proto.metadata_props}
    metadata: dict[str, Any] = json.loads(entries.get(METADATA_KEY, "{}"))
    return metadata if metadata.get("format_version") == 1 else None


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
