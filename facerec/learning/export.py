"""The trained network as one self-contained ONNX file, which is checked against PyTorch before it is put in place."""

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from facerec.framing import FRAME_SIZE
from facerec.learning.dataset import FaceImages
from facerec.learning.errors import ExportError
from facerec.learning.metrics import Floats
from facerec.learning.network import FaceNetwork
from facerec.learning.roles import Indices
from facerec.model_file import INPUT, OUTPUTS, ModelMetadata, checksum_path, write_checksum
from facerec.serving.recognizer import Recognizer

FILE_NAME = "face_recognition.onnx"
LARGEST_DIFFERENCE = 1e-3
"""Of a probability between ONNX Runtime and PyTorch."""


@dataclass(frozen=True)
class Parity:
    """How far the ONNX file agrees with the PyTorch network.

    Attributes:
        images: number of images compared, all of the test images.
        same_top_1: number of images with the same most probable person.
        largest_difference: of any probability, between the two.
    """

    images: int
    same_top_1: int
    largest_difference: float


class ExportedModel(nn.Module):
    """The graph of the ONNX file: frames in, calibrated probabilities, similarities and embeddings out.

    Of the classes only the first `people` go into the file.
    """

    directions: Tensor

    def __init__(self, network: FaceNetwork, *, people: int, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("directions", network.classifier.directions()[:people].detach())
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frames uint8 `[N, 250, 250, 3]` to the three outputs that `facerec.model_file` promises."""
        embeddings = self.network.embed_frames(images)
        similarities = functional.linear(embeddings, self.directions)
        return torch.softmax(similarities / self.temperature, dim=1), similarities, embeddings


def export(
    network: FaceNetwork,
    metadata: ModelMetadata,
    output: Path,
    *,
    faces: FaceImages,
    test: Indices,
    probabilities: Floats,
) -> Parity:
    """Write the model file and its checksum to `output`, once ONNX Runtime answers like PyTorch on every test image.

    Args:
        network: in evaluation mode.
        metadata: goes into the file.
        output: folder.
        faces: the data set.
        test: indices of the test images.
        probabilities: float32 `[N, P]`, PyTorch's answers on them.

    Raises:
        ExportError: the two differ. Files that were in place before are left as they are.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=output) as folder:
        unchecked = Path(folder) / FILE_NAME
        _write(network, metadata, unchecked)
        parity = compare(Recognizer.load(unchecked, threads=torch.get_num_threads()), faces, test, probabilities)
        if parity.same_top_1 < parity.images or parity.largest_difference > LARGEST_DIFFERENCE:
            raise ExportError(f"the exported file doesn't answer like the network: {parity}. It is not put in place.")
        for path in (unchecked, checksum_path(unchecked)):
            path.replace(output / path.name)
    return parity


def compare(recognizer: Recognizer, faces: FaceImages, images: Indices, probabilities: Floats) -> Parity:
    """Compare the file's probabilities with `probabilities`, float32 `[N, P]`, on each of `images`."""
    chunks: Sequence[Indices] = np.array_split(images, max(1, len(images) // 32))
    exported = np.concatenate([recognizer.recognize(faces.frames[chunk]).probabilities for chunk in chunks])
    return Parity(
        images=len(images),
        same_top_1=int((exported.argmax(axis=1) == probabilities.argmax(axis=1)).sum()),
        largest_difference=float(np.abs(exported - probabilities).max()),
    )


def _write(network: FaceNetwork, metadata: ModelMetadata, path: Path) -> None:
    write_onnx(
        ExportedModel(network.cpu(), people=len(metadata.people), temperature=metadata.temperature).eval(),
        torch.zeros(2, FRAME_SIZE, FRAME_SIZE, 3, dtype=torch.uint8),
        path,
        names=(INPUT.name, [output.name for output in OUTPUTS]),
        dynamic={0: torch.export.Dim("batch")},
        properties=metadata.to_properties(),
    )


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
