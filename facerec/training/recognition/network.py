"""MobileNetV3-Large with an embedding head (Howard et al., 2019, arXiv:1905.02244), and the graph that is exported."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v3_large

from facerec.inference.cropping import CROP_SIZE
from facerec.training.backbone import BLOCKS, load_backbone, normalize
from facerec.training.options import RecognizerModelOptions
from facerec.training.recognition.embeddings import EmbeddingNetwork
from facerec.training.recognition.loss import CosineClassifier

VIEW_SIZE = 128
"""Side in pixels of the view: the central part of a crop that the network sees. It holds the face, which in LFW is
about 110 pixels large. Hair and background around it let a network recognize the picture instead of the person."""

INPUT_SIZE = 224
"""Side in pixels of the network's input. The view is enlarged to it, so that the last blocks have 7 x 7 positions."""

INPUT_RECIPE = {"view_size": VIEW_SIZE, "input_size": INPUT_SIZE}
"""The sizes of view and input. They are part of the training recipe, because they decide the weights."""


def preprocess(crops: Tensor) -> Tensor:
    """Convert crops uint8 `[N, 250, 250, 3]` to network inputs float32 `[N, 3, 224, 224]`: the normalized view."""
    start, stop = (CROP_SIZE - VIEW_SIZE) // 2, (CROP_SIZE + VIEW_SIZE) // 2
    view = crops[:, start:stop, start:stop].permute(0, 3, 1, 2).float()
    size = (INPUT_SIZE, INPUT_SIZE)
    return normalize(functional.interpolate(view, size=size, mode="bilinear", align_corners=False))


class BackboneNetwork(EmbeddingNetwork):
    """A network that begins with MobileNetV3-Large, of which the first blocks may be frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.features = mobilenet_v3_large().features

    def start(self, options: RecognizerModelOptions) -> None:
        """Load the backbone's start, and freeze the blocks that are to stay as it has them: of random weights none.

        Raises:
            DataError: the weights can't be downloaded or read, or don't fit the network.
        """
        load_backbone(self, options.weights)
        self.freeze(unfrozen_blocks=BLOCKS if options.weights == "none" else options.unfrozen_blocks)

    def freeze(self, *, unfrozen_blocks: int) -> None:
        """Exclude all but the last `unfrozen_blocks` of the backbone's 17 blocks from training."""
        for block in self.features[: BLOCKS - unfrozen_blocks]:
            block.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but the frozen blocks, whose BatchNorm statistics keep their pretrained values."""
        super().train(mode)
        for block in self.features:
            if not any(parameter.requires_grad for parameter in block.parameters()):
                block.eval()
        return self


class FaceNetwork(BackboneNetwork):
    """Computes embeddings on the unit sphere, and their cosine similarities to the classes.

    Args:
        embedding_size: length D of the embeddings.
        classes: number C of classes.
    """

    def __init__(self, *, embedding_size: int, classes: int) -> None:
        super().__init__()
        self.head = nn.Sequential(
            nn.Linear(960, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size),
        )
        self.classifier = CosineClassifier(embedding_size=embedding_size, classes=classes)

    def forward(self, images: Tensor) -> Tensor:
        """Convert normalized images `[N, 3, H, W]` to cosine similarities `[N, C]`."""
        similarities: Tensor = self.classifier(self.embed(images))
        return similarities

    def embed(self, images: Tensor) -> Tensor:
        """Convert normalized images `[N, 3, H, W]` to L2-normalized embeddings `[N, D]`."""
        return functional.normalize(self.head(self.features(images).mean(dim=(2, 3))))

    def embed_crops(self, crops: Tensor) -> Tensor:
        """Convert crops uint8 `[N, 250, 250, 3]` to L2-normalized embeddings `[N, D]`."""
        return self.embed(preprocess(crops))


class RecognizerGraph(nn.Module):
    """The graph of the ONNX file: crops in; calibrated probabilities, similarities and embeddings out.

    Args:
        network: gives the embeddings.
        directions: of the known people, L2-normalized `[P, D]`.
        temperature: of the calibrated softmax.
    """

    directions: Tensor

    def __init__(self, network: EmbeddingNetwork, directions: Tensor, *, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("directions", directions)
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Convert crops uint8 `[N, S, S, 3]` to the outputs that `RECOGNIZER_OUTPUTS` of `model_file` describes."""
        embeddings = self.network.embed_crops(images)
        similarities = functional.linear(embeddings, self.directions)
        return torch.softmax(similarities / self.temperature, dim=1), similarities, embeddings, self.directions
