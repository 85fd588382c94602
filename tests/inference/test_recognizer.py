import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from facerec.inference.cropping import CROP_SIZE
from facerec.inference.errors import InvalidOutput, ModelFileError
from facerec.inference.model_file import checksum_path, write_checksum
from facerec.inference.recognizer import FaceRecognizer
from tests.harness import ROOT
from tests.toy_model import TOY_ALIGNMENT, TOY_PEOPLE, toy_graph, toy_metadata, write_model, write_toy_model


def crops(*colours: tuple[int, int, int]) -> np.ndarray:
    return np.broadcast_to(np.array(colours, np.uint8)[:, None, None], (len(colours), CROP_SIZE, CROP_SIZE, 3))


def test_it_recognizes_a_batch(model: Path) -> None:
    recognizer = FaceRecognizer.load(model, threads=1)
    recognition = recognizer.recognize(crops((255, 0, 0), (0, 255, 0), (0, 0, 255), (99, 99, 99)))
    names = [person.name for person in recognizer.metadata.people]
    assert names == list(TOY_PEOPLE)
    assert recognition.probabilities.argmax(1)[:3].tolist() == [0, 1, 2]
    assert recognition.probabilities.sum(1) == pytest.approx(1)
    assert recognition.similarities[3] == pytest.approx(3**-0.5)
    assert np.linalg.norm(recognition.embeddings, axis=1) == pytest.approx(1)
    assert {output.dtype for output in recognition} == {np.dtype(np.float32)}


def test_crops_that_a_gpu_is_given_at_once_have_the_same_answers(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = FaceRecognizer.load(model, threads=1)
    pixels = np.random.default_rng(0).integers(0, 255, (5, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    one_by_one = recognizer.recognize(pixels)
    runs: list[int] = []
    run = recognizer._run

    def counted(images: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.float32]]:
        runs.append(len(images))
        return run(images, names)

    monkeypatch.setattr(recognizer, "_run", counted)
    monkeypatch.setattr(FaceRecognizer, "on_gpu", True)
    at_once = recognizer.recognize(pixels)
    assert runs == [5]
    for expected, found in zip(one_by_one, at_once, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_its_checksum_is_the_files(model: Path) -> None:
    assert checksum_path(model).read_text().startswith(FaceRecognizer.load(model, threads=1).checksum)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"gone\.onnx is missing"):
        FaceRecognizer.load(tmp_path / "gone.onnx", threads=1)


@pytest.mark.parametrize("damage", ["truncated", "altered", "no checksum"])
def test_a_damaged_model_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "toy.onnx"
    write_toy_model(path)
    data = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "altered":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        checksum_path(path).unlink()
    with pytest.raises(ModelFileError, match=r"toy\.onnx.* is (truncated or altered|missing)"):
        FaceRecognizer.load(path, threads=1)


@pytest.mark.parametrize(
    "points", [((30, 30),) * 5, [(x, 60 - y) for x, y in TOY_ALIGNMENT.points]], ids=["all the same", "upside down"]
)
def test_an_alignment_that_is_not_a_faces_is_refused(tmp_path: Path, points: list[tuple[float, float]]) -> None:
    alignment = TOY_ALIGNMENT.model_copy(update={"points": tuple(points)})
    metadata = toy_metadata().model_copy(update={"alignment": alignment})
    write_model(tmp_path / "toy.onnx", toy_graph(crop_size=60), metadata)
    with pytest.raises(ModelFileError, match=r"toy\.onnx can't be used: the points of its metadata's alignment"):
        FaceRecognizer.load(tmp_path / "toy.onnx", threads=1)


def test_what_is_no_onnx_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy.onnx"
    path.write_text("not a model")
    write_checksum(path)
    with pytest.raises(ModelFileError, match="can be loaded"):
        FaceRecognizer.load(path, threads=1)


def changed(**changes: object) -> onnx.GraphProto:
    """The toy's graph with another input or output."""
    graph = toy_graph()
    if "input_type" in changes:
        graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    if "input_shape" in changes:
        graph.input[0].type.tensor_type.shape.dim[1].dim_value = 224
    if "fixed_batch" in changes:
        graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    if "input_name" in changes:
        graph.input[0].name = graph.node[0].input[0] = "picture"
    if "fewer_outputs" in changes:
        del graph.output[2]
    if "swapped_outputs" in changes:
        graph.output[0].name, graph.output[1].name = "similarities", "probabilities"
    return graph


@pytest.mark.parametrize(
    "change", ["input_type", "input_shape", "fixed_batch", "input_name", "fewer_outputs", "swapped_outputs"]
)
def test_another_signature_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "toy.onnx"
    write_model(path, changed(**{change: True}), toy_metadata())
    with pytest.raises(ModelFileError, match=r"toy\.onnx can't be used: its (in|out)put"):
        FaceRecognizer.load(path, threads=1)


@pytest.mark.parametrize("update", [{"embedding_size": 4}, {"people": toy_metadata().people[:2]}])
def test_columns_that_the_metadata_does_not_promise_are_refused(tmp_path: Path, update: dict[str, object]) -> None:
    path = tmp_path / "toy.onnx"
    write_model(path, toy_graph(), toy_metadata().model_copy(update=update))
    with pytest.raises(ModelFileError, match="has shape"):
        FaceRecognizer.load(path, threads=1)


def test_nan_out_of_the_model_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "toy.onnx"
    write_model(path, toy_graph(nan_for_white=True), toy_metadata())
    recognizer = FaceRecognizer.load(path, threads=1)
    recognizer.recognize(crops((9, 9, 9)))
    with pytest.raises(InvalidOutput):
        recognizer.recognize(crops((255, 255, 255)))


def test_onnx_runtime_reports_to_nobody(model: Path, tmp_path: Path) -> None:
    """With telemetry on, it leaves the machine's id and what it is about to send in the user's cache."""
    code = (
        "import sys; from pathlib import Path; from facerec.inference.recognizer import FaceRecognizer; "
        f"FaceRecognizer.load(Path({str(model)!r}), threads=1)"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=60)
    assert not list(tmp_path.rglob("*nnxruntime*"))
