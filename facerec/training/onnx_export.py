"""Write a network as a self-contained ONNX file."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from facerec.atomic_write import atomic_write
from facerec.inference.model_file import ModelMetadata, write_checksum


@dataclass(frozen=True)
class Parity:
    """How closely the ONNX file agrees with the PyTorch network.

    Attributes:
        compared: number of answers compared: test images of the recognizer, faces of the others.
        equal: number of them on which both agree.
        largest_difference: of any probability of the recognizer, of any coordinate of the detector in pixels, or of
            any coordinate of the landmark predictor in sides of the face's square.
    """

    compared: int
    equal: int
    largest_difference: float


def write_onnx(
    model: nn.Module,
    example: Tensor,
    path: Path,
    *,
    input_name: str,
    output_names: list[str],
    dynamic_axes: dict[int, Any],
    metadata: ModelMetadata,
) -> None:
    """Write a model with one input as a self-contained ONNX file, and its checksum beside it.

    Args:
        model: in evaluation mode, on the CPU.
        example: an input.
        path: of the file.
        input_name: name of the graph's input.
        output_names: names of the graph's outputs.
        dynamic_axes: the input's axes of variable length, as `torch.export.Dim`.
        metadata: goes into the file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torchvision 0.29 and torch 2.15 disagree on a name in nms
        program = torch.onnx.export(
            model,
            (example,),
            input_names=[input_name],
            output_names=output_names,
            dynamic_shapes=(dynamic_axes,),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    for node in proto.graph.node:  # the exporter stores stack traces, with the paths of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del value.metadata_props[:]
    _store_in_half_precision(proto.graph)
    onnx.checker.check_model(proto, full_check=True)
    save_with_metadata(proto, path, metadata)


def _store_in_half_precision(graph: onnx.GraphProto) -> None:
    """Store weights that are float16 numbers as float16, in half the bytes. The graph still computes in float32.

    ONNX Runtime converts them once, when it loads the file.
    """
    casts = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT or len(weight.dims) < 2:
            continue
        values = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):  # gives infinity, which is not equal
            half = values.astype(np.float16)
        if np.array_equal(half, values):
            casts.append(helper.make_node("Cast", [f"{weight.name}.half"], [weight.name], to=TensorProto.FLOAT))
            weight.CopyFrom(numpy_helper.from_array(half, f"{weight.name}.half"))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def save_with_metadata(proto: onnx.ModelProto, path: Path, metadata: ModelMetadata) -> None:
    """Save a graph with `metadata` in place of its own, and its checksum beside it."""
    onnx.helper.set_model_props(proto, metadata.to_properties())
    with atomic_write(path) as file:
        file.write(proto.SerializeToString())
    write_checksum(path)
