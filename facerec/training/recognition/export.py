"""The trained network as one self-contained ONNX file, which is checked against PyTorch before it is put in place."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from facerec.inference.cropping import CROP_SIZE
from facerec.inference.model_file import INPUT, OUTPUTS, ModelMetadata, checksum_path
from facerec.inference.recognizer import Recognizer
from facerec.training.dataset import FaceDataset
from facerec.training.errors import ExportError
from facerec.training.metrics import Floats
from facerec.training.onnx_export import write_onnx
from facerec.training.recognition.network import FaceNetwork
from facerec.training.split import Indices

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
    """The graph of the ONNX file: crops in, calibrated probabilities, similarities and embeddings out.

    Of the classes only the first `people` go into the file.
    """

    directions: Tensor

    def __init__(self, network: FaceNetwork, *, people: int, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("directions", network.classifier.directions()[:people].detach())
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Crops uint8 `[N, 250, 250, 3]` to the three outputs that `facerec.inference.model_file` promises."""
        embeddings = self.network.embed_crops(images)
        similarities = functional.linear(embeddings, self.directions)
        return torch.softmax(similarities / self.temperature, dim=1), similarities, embeddings


def export(
    network: FaceNetwork,
    metadata: ModelMetadata,
    output: Path,
    *,
    dataset: FaceDataset,
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
        parity = compare(Recognizer.load(unchecked, threads=torch.get_num_threads()), dataset, test, probabilities)
        if parity.same_top_1 < parity.images or parity.largest_difference > LARGEST_DIFFERENCE:
            raise ExportError(f"the exported file doesn't answer like the network: {parity}. It is not put in place.")
        for path in (unchecked, checksum_path(unchecked)):
            path.replace(output / path.name)
    return parity


def compare(recognizer: Recognizer, dataset: FaceDataset, indices: Indices, probabilities: Floats) -> Parity:
    """Compare the file's probabilities with `probabilities`, float32 `[N, P]`, on each of `images`."""
    chunks: Sequence[Indices] = np.array_split(indices, max(1, len(indices) // 32))
    exported = np.concatenate([recognizer.recognize(dataset.crops[chunk]).probabilities for chunk in chunks])
    return Parity(
        images=len(indices),
        same_top_1=int((exported.argmax(axis=1) == probabilities.argmax(axis=1)).sum()),
        largest_difference=float(np.abs(exported - probabilities).max()),
    )


def _write(network: FaceNetwork, metadata: ModelMetadata, path: Path) -> None:
    write_onnx(
        ExportedModel(network.cpu(), people=len(metadata.people), temperature=metadata.temperature).eval(),
        torch.zeros(2, CROP_SIZE, CROP_SIZE, 3, dtype=torch.uint8),
        path,
        names=(INPUT.name, [output.name for output in OUTPUTS]),
        dynamic={0: torch.export.Dim("batch")},
        properties=metadata.to_properties(),
    )
