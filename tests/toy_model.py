"""A tiny ONNX model with the signature of the real one: it knows three people by the mean colour of the frame."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facerec.framing import FRAME_SIZE
from facerec.model_file import ModelMetadata, Person, write_checksum

TOY_PEOPLE = ("Rosa_Red", "Gustav_Green", "Bella_Blue")
"""A frame of a pure primary colour is theirs, in this order; grey is nobody's."""
TOY_THRESHOLD = 0.8
TOY_TEMPERATURE = 0.1


def toy_graph(*, nan_for_white: bool = False) -> onnx.GraphProto:
    """`embeddings` is the frame's mean colour as a unit vector, `similarities` its cosines to red, green and blue.

    With `nan_for_white` the model is broken: a white frame gives NaN.
    """
    return helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["pixels", "one"], ["lit"]),  # black has no direction
            helper.make_node("ReduceMean", ["lit", "height_width"], ["colour"], keepdims=0),
            helper.make_node("ReduceMean", ["colour", "channels"], ["brightness"]),
            helper.make_node("Sub", ["limit", "brightness"], ["margin"]),
            helper.make_node("Sqrt", ["margin"], ["root"]),  # NaN beyond the limit
            helper.make_node("Div", ["root", "root"], ["one_or_nan"]),
            helper.make_node("Mul", ["colour", "one_or_nan"], ["judged_colour"]),
            helper.make_node("LpNormalization", ["judged_colour"], ["embeddings"], axis=1, p=2),
            helper.make_node("MatMul", ["embeddings", "primaries"], ["similarities"]),
            helper.make_node("Div", ["similarities", "temperature"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "toy",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", FRAME_SIZE, FRAME_SIZE, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3])
            for name in ("probabilities", "similarities", "embeddings")
        ],
        [
            numpy_helper.from_array(np.array([1], np.float32), "one"),
            numpy_helper.from_array(np.array([1, 2], np.int64), "height_width"),
            numpy_helper.from_array(np.array([1], np.int64), "channels"),
            numpy_helper.from_array(np.array([250 if nan_for_white else 1000], np.float32), "limit"),
            numpy_helper.from_array(np.eye(3, dtype=np.float32), "primaries"),
            numpy_helper.from_array(np.array([TOY_TEMPERATURE], np.float32), "temperature"),
        ],
    )


def toy_metadata() -> ModelMetadata:
    """What the toy says of itself."""
    return ModelMetadata(
        version="0.0.0",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        people=tuple(Person(name=name, training_images=20, test_images=5, test_recall=0.8) for name in TOY_PEOPLE),
        embedding_size=3,
        threshold=TOY_THRESHOLD,
        false_accept_rate=0.01,
        temperature=TOY_TEMPERATURE,
        figures={"top1": 0.9},
        configuration={},
        licence="public domain",
    )


def write_toy_model(path: Path) -> None:
    """Write the toy and its checksum."""
    write_model(path, toy_graph(), toy_metadata())


def write_model(path: Path, graph: onnx.GraphProto, metadata: ModelMetadata) -> None:
    """Write any graph as a model file with its checksum."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata.to_properties())
    onnx.save(model, path)
    write_checksum(path)
