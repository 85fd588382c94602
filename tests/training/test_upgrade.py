import json
import re
import runpy
import sys
from pathlib import Path

import onnx
import pytest
from onnx import helper, numpy_helper

from facerec.inference.detector import FaceDetector
from facerec.inference.errors import ModelFileError
from facerec.inference.model_file import (
    ACCURATE_RECOGNIZER_FILE,
    METADATA_KEY,
    RECOGNIZER_FILE,
    RecognizerMetadata,
    checksum_path,
    write_checksum,
)
from facerec.inference.recognizer import FaceRecognizer
from model.upgrade import NEW_NAMES, embedding_id, upgrade
from tests.shipped import DETECTOR, RECOGNIZER
from tests.toy_model import TOY_ALIGNMENT, toy_graph, toy_metadata, write_toy_model

OLD_NAMES = {new: old for old, new in NEW_NAMES.items()}


def with_old_names(value: object) -> object:
    """`value` with the field names of format 1 at any depth."""
    if isinstance(value, dict):
        return {OLD_NAMES.get(name, name): with_old_names(content) for name, content in value.items()}
    return [with_old_names(item) for item in value] if isinstance(value, list) else value


def write_old_file(source: Path, path: Path, *, without: set[str], configuration: dict[str, object]) -> None:
    """Write the shipped file `source` with the metadata that format 1 had."""
    proto = onnx.load(source)
    metadata = json.loads(proto.metadata_props[0].value)
    old = with_old_names({name: value for name, value in metadata.items() if name not in without})
    assert isinstance(old, dict)
    old |= {"format_version": 1, "configuration": configuration}
    helper.set_model_props(proto, {METADATA_KEY: json.dumps(old)})
    onnx.save(proto, path)
    write_checksum(path)


@pytest.fixture
def old_models(tmp_path: Path) -> Path:
    """A folder with the shipped models as a version with format 1 wrote them, and its reports and cards."""
    write_old_file(
        RECOGNIZER,
        tmp_path / "face_recognition.onnx",
        without=set(),
        configuration={"framing": "face_locator.onnx", "seed": 0},
    )
    write_old_file(
        DETECTOR,
        tmp_path / "face_locator.onnx",
        without={"second_pass"},
        configuration={"locator_steps": 3000, "seed": 0},
    )
    for name in ("report.json", "README.md", "face_locator.json", "face_locator.md"):
        (tmp_path / name).write_text(f"the {name} of the old version")
    return tmp_path


def test_an_old_file_is_refused_with_the_name_of_the_script(old_models: Path) -> None:
    for model, file in ((FaceRecognizer, "face_recognition.onnx"), (FaceDetector, "face_locator.onnx")):
        with pytest.raises(ModelFileError, match=r"older version .*uv run -m model\.upgrade"):
            model.load(old_models / file, threads=1)


def test_upgraded_models_answer_as_before_and_say_the_same(old_models: Path) -> None:
    old = {path.name: onnx.load(path) for path in old_models.glob("*.onnx")}
    written = upgrade(old_models)
    assert [path.name for path in written] == ["face_recognition.onnx", "face_detector.onnx"]
    assert not list(old_models.glob("face_locator.onnx*"))
    assert not list(old_models.glob(".unfinished*"))
    recognizer = FaceRecognizer.load(old_models / "face_recognition.onnx", threads=1)
    detector = FaceDetector.load(old_models / "face_detector.onnx", threads=1)
    shipped = FaceDetector.load(DETECTOR, threads=1).metadata
    assert recognizer.metadata.metrics == FaceRecognizer.load(RECOGNIZER, threads=1).metadata.metrics
    assert recognizer.metadata.configuration == {"crop_mode": "detect", "detector": "face_detector.onnx", "seed": 0}
    assert (detector.metadata.metrics, detector.metadata.second_pass) == (shipped.metrics, shipped.second_pass)
    assert detector.metadata.configuration == {"steps": 3000, "seed": 0}
    for name, file in (("face_recognition.onnx",) * 2, ("face_locator.onnx", "face_detector.onnx")):
        before, after = old[name].graph, onnx.load(old_models / file).graph
        assert before.SerializeToString(deterministic=True) == after.SerializeToString(deterministic=True)

    for name in ("report.json", "README.md", "face_locator.json", "face_locator.md"):
        assert (old_models / name).read_text() == f"the {name} of the old version", "reports stay as they are"


def write_older_recognizer(path: Path, proto: onnx.ModelProto) -> RecognizerMetadata:
    """Write a recognizer of format 2 as it was before it gave the directions, and return its metadata."""
    metadata = toy_metadata().model_copy(update={"embedding_id": None})
    del proto.graph.output[3]
    helper.set_model_props(proto, metadata.to_properties())
    onnx.save(proto, path)
    write_checksum(path)
    return metadata


def test_recognizers_without_directions_and_embedding_id_get_them(tmp_path: Path) -> None:
    for name in (RECOGNIZER_FILE, ACCURATE_RECOGNIZER_FILE):
        write_toy_model(tmp_path / name)
    whole = FaceRecognizer.load(tmp_path / RECOGNIZER_FILE, threads=1)
    metadata = write_older_recognizer(tmp_path / RECOGNIZER_FILE, onnx.load(tmp_path / RECOGNIZER_FILE))
    with pytest.raises(ModelFileError, match=r"outputs are .*embeddings: upgrade it with `uv run -m model\.upgrade"):
        FaceRecognizer.load(tmp_path / RECOGNIZER_FILE, threads=1)

    assert upgrade(tmp_path) == [tmp_path / RECOGNIZER_FILE, tmp_path / ACCURATE_RECOGNIZER_FILE]
    upgraded = FaceRecognizer.load(tmp_path / RECOGNIZER_FILE, threads=1)
    assert upgraded.directions.tolist() == whole.directions.tolist()
    assert upgraded.metadata == metadata.model_copy(update={"embedding_id": upgraded.metadata.embedding_id})
    other = FaceRecognizer.load(tmp_path / ACCURATE_RECOGNIZER_FILE, threads=1).metadata
    assert upgraded.metadata.embedding_id == other.embedding_id, "the embedding is the same"
    assert upgrade(tmp_path) == []


def test_the_embedding_id_depends_on_the_embedding_alone() -> None:
    graph = toy_graph()
    expected = embedding_id(graph, None)
    assert re.fullmatch("[0-9a-f]{64}", expected)
    changed = {"directions": False, "temperature": False, "one": True, "limit": True}
    for name, embedding_changes in changed.items():
        other = toy_graph()
        [weights] = [each for each in other.initializer if each.name == name]
        weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * 2, name))
        assert (embedding_id(other, None) != expected) == embedding_changes, name
    assert embedding_id(graph, TOY_ALIGNMENT) != expected
    other = toy_graph()
    other.node[1].op_type = "Sub"
    assert embedding_id(other, None) != expected


def test_a_graph_without_directions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / RECOGNIZER_FILE
    write_toy_model(path)
    proto = onnx.load(path)
    [directions] = [each for each in proto.graph.initializer if each.name == "directions"]
    directions.name = "weights"
    [product] = [node for node in proto.graph.node if "directions" in node.input]
    product.input[1] = "weights"
    write_older_recognizer(path, proto)
    before = path.read_bytes()
    with pytest.raises(ModelFileError, match=r"holds no 'directions'\. Train it anew"):
        upgrade(tmp_path)
    assert path.read_bytes() == before


def test_files_of_todays_format_are_left_as_they_are(tmp_path: Path) -> None:
    for path in (RECOGNIZER, checksum_path(RECOGNIZER)):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = (tmp_path / RECOGNIZER.name).read_bytes()
    assert upgrade(tmp_path) == []
    assert (tmp_path / RECOGNIZER.name).read_bytes() == before


def test_the_script_says_what_it_did(
    old_models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["upgrade.py", str(old_models)])
    monkeypatch.delitem(sys.modules, "model.upgrade")
    runpy.run_module("model.upgrade", run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        f"upgraded {old_models / name}" for name in ("face_recognition.onnx", "face_detector.onnx")
    ]
