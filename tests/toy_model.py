"""Tiny ONNX models with the signatures of the real ones, which go by colours.

The recognizer knows three people by the mean colour of the crop; the detector takes patches of magenta for faces; the
landmark predictor finds the same points in every face.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facerec.inference.cropping import CROP_SIZE, Face
from facerec.inference.model_file import (
    DETECTOR_STRIDE,
    Alignment,
    DetectorMetadata,
    LandmarkMetadata,
    ModelMetadata,
    Person,
    RecognizerMetadata,
    SecondPass,
    write_checksum,
)

TOY_PEOPLE = ("Rosa_Red", "Gustav_Green", "Bella_Blue")
"""A crop of a pure primary colour is theirs, in this order; grey is nobody's."""
TOY_NAMES = ("Rosa Red", "Gustav Green", "Bella Blue")
"""Their names in a gallery and in the service's answers."""
TOY_THRESHOLD = 0.8
TOY_TEMPERATURE = 0.1

TOY_LONG_SIDE = 320
TOY_FACE = 64
"""Size of every face that the toy detector finds."""
TOY_SCORE = 0.5
"""Threshold of the toy detector."""
TOY_SECOND_PASS = SecondPass(min_score=0.25, max_score=0.7, side=192, min_iou=0.4, full_score_size=28)

TOY_POINTS = ((0.36, -0.2), (0.15, -0.19), (-0.36, -0.2), (-0.15, -0.19), (0.02, 0.15))
"""Where the toy landmark predictor finds the points of every face."""
TOY_LANDMARK_CROP = 32

TOY_ALIGNMENT = Alignment(crop_size=60, points=tuple((30 + 40 * x, 30 + 40 * y) for x, y in TOY_POINTS))
"""Of the toy recognizer of aligned faces: the square of a face with the toy's points is 40 pixels large in a crop."""


def toy_graph(*, nan_for_white: bool = False, crop_size: int = CROP_SIZE) -> onnx.GraphProto:
    """`embeddings` is the crop's mean colour as a unit vector, `similarities` its cosines to red, green and blue.

    With `nan_for_white` the model is broken: a white crop gives NaN.
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
            helper.make_node("MatMul", ["embeddings", "directions"], ["similarities"]),
            helper.make_node("Div", ["similarities", "temperature"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "toy",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", crop_size, crop_size, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3])
            for name in ("probabilities", "similarities", "embeddings")
        ]
        + [helper.make_tensor_value_info("directions", TensorProto.FLOAT, [3, 3])],
        [
            numpy_helper.from_array(np.array([1], np.float32), "one"),
            numpy_helper.from_array(np.array([1, 2], np.int64), "height_width"),
            numpy_helper.from_array(np.array([1], np.int64), "channels"),
            numpy_helper.from_array(np.array([250 if nan_for_white else 1000], np.float32), "limit"),
            numpy_helper.from_array(np.eye(3, dtype=np.float32), "directions"),
            numpy_helper.from_array(np.array([TOY_TEMPERATURE], np.float32), "temperature"),
        ],
    )


def toy_metadata() -> RecognizerMetadata:
    """What the toy says of itself."""
    return RecognizerMetadata(
        version="0.0.0",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        people=tuple(Person(name=name, training_images=20, test_images=5, test_recall=0.8) for name in TOY_PEOPLE),
        embedding_size=3,
        threshold=TOY_THRESHOLD,
        false_accept_rate=0.01,
        temperature=TOY_TEMPERATURE,
        metrics={"top_1": 0.9},
        configuration={},
        licence="public domain",
    )


def write_toy_model(path: Path) -> None:
    """Write the toy recognizer and its checksum."""
    write_model(path, toy_graph(), toy_metadata())


def write_aligned_toy_model(path: Path) -> None:
    """Write a toy recognizer of aligned faces and its checksum."""
    metadata = toy_metadata().model_copy(update={"backbone": "dlib-resnet", "alignment": TOY_ALIGNMENT})
    write_model(path, toy_graph(crop_size=TOY_ALIGNMENT.crop_size), metadata)


def toy_detector_graph(*, nan_for_white: bool = False) -> onnx.GraphProto:
    """Each cell of 32 x 32 pixels is a face by its mean colour, of `TOY_FACE` pixels around the cell's middle.

    Its score is how much more red and blue than green there is, of 1, and its angle how much more red than blue, of 1
    radian. Cells that score 0.1 or less are no candidates. With `nan_for_white` the model is broken: a white picture
    gives NaN.
    """
    return helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["pixels", "white"], ["light"]),
            helper.make_node("Transpose", ["light"], ["channels"], perm=[2, 0, 1]),
            helper.make_node("Unsqueeze", ["channels", "first"], ["batch"]),
            helper.make_node("AveragePool", ["batch"], ["cells"], kernel_shape=[32, 32], strides=[32, 32]),
            helper.make_node("Split", ["cells"], ["red", "green", "blue"], axis=1, num_outputs=3),
            helper.make_node("Min", ["red", "blue"], ["magenta"]),
            helper.make_node("Sub", ["magenta", "green"], ["scores"]),
            helper.make_node("Sub", ["limit", "green"], ["margin"]),
            helper.make_node("Sqrt", ["margin"], ["root"]),  # NaN beyond the limit
            helper.make_node("Div", ["root", "root"], ["one_or_nan"]),
            helper.make_node("Mul", ["scores", "one_or_nan"], ["scores_or_nan"]),
            helper.make_node("Reshape", ["scores_or_nan", "flat"], ["all_scores"]),
            helper.make_node("Sub", ["red", "blue"], ["turns"]),
            helper.make_node("Reshape", ["turns", "flat"], ["all_angles"]),
            helper.make_node("Size", ["all_scores"], ["count"]),
            helper.make_node("Reshape", ["count", "flat"], ["counts"]),
            helper.make_node("Min", ["counts", "most"], ["k"]),
            helper.make_node("TopK", ["all_scores", "k"], ["top_scores", "top"]),
            helper.make_node("LessOrEqual", ["top_scores", "lowest"], ["low"]),
            helper.make_node("Not", ["low"], ["kept"]),
            helper.make_node("Compress", ["top", "kept"], ["places"], axis=0),
            helper.make_node("Gather", ["all_scores", "places"], ["score"]),
            helper.make_node("Gather", ["all_angles", "places"], ["angle"]),
            helper.make_node("Shape", ["cells"], ["columns"], start=3),
            helper.make_node("Mod", ["places", "columns"], ["column"]),
            helper.make_node("Div", ["places", "columns"], ["row"]),
            *(node for name, cell in (("x", "column"), ("y", "row")) for node in _middle(name, cell)),
            helper.make_node("Mul", ["score", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "face"], ["size"]),
            *(helper.make_node("Unsqueeze", [name, "second"], [f"{name}_column"]) for name in Face._fields),
            helper.make_node("Concat", [f"{name}_column" for name in Face._fields], ["faces"], axis=1),
        ],
        "toy_detector",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["rows", "columns", 3])],
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["k", 5])],
        [
            *(
                numpy_helper.from_array(np.array([value], np.float32), name)
                for name, value in {
                    "white": 255, "limit": 0.99 if nan_for_white else 2, "lowest": 0.1, "half": 0.5, "zero": 0,
                    "stride": DETECTOR_STRIDE, "face": TOY_FACE,
                }.items()
            ),
            *(
                numpy_helper.from_array(np.array([value], np.int64), name)
                for name, value in {"first": 0, "second": 1, "flat": -1, "most": 100}.items()
            ),
        ],
    )  # fmt: skip


def _middle(name: str, cell: str) -> list[onnx.NodeProto]:
    """Nodes that make `name`, in pixels, the middle of `cell`, a row or a column."""
    return [
        helper.make_node("Cast", [cell], [f"{name}_cell"], to=TensorProto.FLOAT),
        helper.make_node("Add", [f"{name}_cell", "half"], [f"{name}_middle"]),
        helper.make_node("Mul", [f"{name}_middle", "stride"], [name]),
    ]


def toy_detector_metadata() -> DetectorMetadata:
    """What the toy detector says of itself."""
    return DetectorMetadata(
        version="0.0.0",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        threshold=TOY_SCORE,
        long_side=TOY_LONG_SIDE,
        second_pass=TOY_SECOND_PASS,
        metrics={"recall": 0.9},
        configuration={},
        licence="public domain",
    )


def write_toy_detector(path: Path) -> None:
    """Write the toy detector and its checksum."""
    write_model(path, toy_detector_graph(), toy_detector_metadata())


def toy_landmark_graph(
    points: tuple[tuple[float, float], ...] = TOY_POINTS, *, nan_for_white: bool = False
) -> onnx.GraphProto:
    """`points` is the same for every crop. With `nan_for_white` the model is broken: a white crop gives NaN."""
    return helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "all_but_batch"], ["brightness"], keepdims=0),
            helper.make_node("Sub", ["limit", "brightness"], ["margin"]),
            helper.make_node("Sqrt", ["margin"], ["root"]),  # NaN beyond the limit
            helper.make_node("Div", ["root", "root"], ["one_or_nan"]),
            helper.make_node("Unsqueeze", ["one_or_nan", "last_axes"], ["ones"]),
            helper.make_node("Mul", ["ones", "constant"], ["points"]),
        ],
        "toy_landmarks",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", TOY_LANDMARK_CROP, TOY_LANDMARK_CROP, 3])],
        [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["n", 5, 2])],
        [
            numpy_helper.from_array(np.array([1, 2, 3], np.int64), "all_but_batch"),
            numpy_helper.from_array(np.array([1, 2], np.int64), "last_axes"),
            numpy_helper.from_array(np.array([250 if nan_for_white else 1000], np.float32), "limit"),
            numpy_helper.from_array(np.array([points], np.float32), "constant"),
        ],
    )


def toy_landmark_metadata() -> LandmarkMetadata:
    """What the toy landmark predictor says of itself."""
    return LandmarkMetadata(
        version="0.0.0",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        crop_size=TOY_LANDMARK_CROP,
        enlargement=1.5,
        mean_points=TOY_POINTS,
        metrics={"mean_error": 0.02},
        configuration={},
        licence="public domain",
    )


def write_toy_landmark_predictor(path: Path, points: tuple[tuple[float, float], ...] = TOY_POINTS) -> None:
    """Write the toy landmark predictor and its checksum. With other `points` it finds these, plausible or not."""
    write_model(path, toy_landmark_graph(points), toy_landmark_metadata())


def write_model(path: Path, graph: onnx.GraphProto, metadata: ModelMetadata) -> None:
    """Write any graph as a model file with its checksum."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata.to_properties())
    onnx.save(model, path)
    write_checksum(path)
