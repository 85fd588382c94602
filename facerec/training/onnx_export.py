"""A network of one input as a self-contained ONNX file."""

import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from facerec.inference.model_file import write_checksum


def write_onnx(
    model: nn.Module,
    example: Tensor,
    path: Path,
    *,
    names: tuple[str, list[str]],
    dynamic: dict[int, Any],
    properties: dict[str, str],
) -> None:
    """Write a model of one input as a self-contained ONNX file, and its checksum beside it.

    Args:
        model: in evaluation mode, on the CPU.
        example: an input.
        path: of the file.
        names: of the input and of the outputs.
        dynamic: the input's axes of variable length.
        properties: the file's metadata.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torchvision 0.29 and torch 2.15 disagree on a name in nms
        program = torch.onnx.export(
            model,
            (example,),
            input_names=[names[0]],
            output_names=names[1],
            dynamic_shapes=(dynamic,),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    for node in proto.graph.node:  # the exporter leaves stack traces there, with the paths of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del value.metadata_props[:]
    onnx.helper.set_model_props(proto, properties)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)
    write_checksum(path)
