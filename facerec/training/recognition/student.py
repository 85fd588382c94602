"""MobileNetV3-Large as a student of dlib's network: it gives embeddings in that network's space.

It sees aligned faces. A global depthwise convolution stands in for the mean over places, because in an aligned face
each place shows another part of it (MobileFaceNets, Chen et al., 2018, arXiv:1804.07573).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from facerec.inference.model_file import Alignment
from facerec.training.backbone import normalize
from facerec.training.dlib_resnet import CHIP_SIZE, REFERENCE_POINTS
from facerec.training.recognition.loss import CosineClassifier
from facerec.training.recognition.network import BackboneNetwork

CROP_SIZE = 160
"""Side in pixels of an aligned crop. Random shifts and rotations of the view reach its border, but seldom beyond."""

VIEW_SIZE = 128
"""Side in pixels of the view: the central part of a crop, which the student sees."""

CHIP_PIXELS = 118.5
"""Side in pixels of that part of a crop that the teacher sees: its chip. In LFW's pictures it is about as large, so
that crops keep their resolution. The view is 1.08 times as wide: it shows a little more of chin and forehead."""

EMBEDDING_SIZE = 128
"""Length of the teacher's embeddings, and so of the student's."""

TARGET_SCALE = 0.05
"""Standard deviation of a number of the teacher's embeddings. The last layer gives multiples of it: AdamW moves every
weight by about the learning rate, whatever the scale, and would overshoot a smaller one."""

LABEL_EMBEDDING_SIZE = 256
"""Length of the second embedding, which learns the labels in training."""

_GRID_SIZE = VIEW_SIZE // 32


def student_alignment() -> Alignment:
    """Where a crop shows the five points: the places of dlib's chip, in the middle of the crop."""
    points = (REFERENCE_POINTS - CHIP_SIZE / 2) * (CHIP_PIXELS / CHIP_SIZE) + CROP_SIZE / 2
    return Alignment(crop_size=CROP_SIZE, points=tuple((float(x), float(y)) for x, y in points))


def teacher_chips(crops: Tensor) -> Tensor:
    """The part of crops float32 `[N, 3, 160, 160]` that the teacher sees, float32 `[N, 3, 150, 150]`."""
    scale = CHIP_PIXELS / CROP_SIZE
    theta = torch.tensor([[scale, 0, 0], [0, scale, 0]], device=crops.device).expand(len(crops), -1, -1)
    grid = functional.affine_grid(theta, [len(crops), 3, CHIP_SIZE, CHIP_SIZE], align_corners=False)
    return functional.grid_sample(crops, grid, align_corners=False)


class StudentNetwork(BackboneNetwork):
    """Computes embeddings in the space of a teacher's.

    Args:
        classes: number of classes that `label_similarities` tells apart. 0 leaves that part out.

    Attributes:
        teacher_mean: the mean of the teacher's embeddings, `[128]`. It is added to what the last layer gives.
        teacher_variance: the sum of the variances of their 128 numbers, `[]`.
    """

    teacher_mean: Tensor
    teacher_variance: Tensor

    def __init__(self, *, classes: int = 0) -> None:
        super().__init__()
        places = nn.Conv2d(960, 960, _GRID_SIZE, groups=960, bias=False)
        nn.init.constant_(places.weight, _GRID_SIZE**-2)  # the mean over places
        self.places = nn.Sequential(places, nn.BatchNorm2d(960))
        self.last = nn.Linear(960, EMBEDDING_SIZE)
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.zeros_(self.last.bias)
        self.register_buffer("teacher_mean", torch.zeros(EMBEDDING_SIZE))
        self.register_buffer("teacher_variance", torch.ones(()))
        self.classifier: nn.Module | None = None
        if classes:
            self.classifier = nn.Sequential(
                nn.Linear(960, LABEL_EMBEDDING_SIZE, bias=False),
                nn.BatchNorm1d(LABEL_EMBEDDING_SIZE),
                _Normalize(),
                CosineClassifier(embedding_size=LABEL_EMBEDDING_SIZE, classes=classes),
            )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute what training compares with teacher and labels.

        Args:
            images: normalized, float32 `[N, 3, 128, 128]`.

        Returns:
            Embeddings `[N, 128]` on the teacher's scale, not normalized, and features `[N, 960]` for `classifier`.
        """
        features = self.places(self.features(images)).flatten(1)
        return TARGET_SCALE * self.last(features).float() + self.teacher_mean, features

    def embed_crops(self, crops: Tensor) -> Tensor:
        """Convert crops uint8 `[N, 160, 160, 3]` to L2-normalized embeddings float32 `[N, 128]`."""
        embeddings, _ = self(self.view(crops))
        return functional.normalize(embeddings)

    @staticmethod
    def view(crops: Tensor) -> Tensor:
        """Convert crops uint8 `[N, 160, 160, 3]` to network inputs float32 `[N, 3, 128, 128]`: the normalized view."""
        start, stop = (CROP_SIZE - VIEW_SIZE) // 2, (CROP_SIZE + VIEW_SIZE) // 2
        return normalize(crops[:, start:stop, start:stop].permute(0, 3, 1, 2).float())


class _Normalize(nn.Module):
    """Gives vectors `[N, D]` the length 1."""

    def forward(self, vectors: Tensor) -> Tensor:
        return functional.normalize(vectors)
