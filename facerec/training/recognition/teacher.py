"""dlib's network as a teacher: it says which embeddings changed faces have."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from facerec.training.dataset import FaceDataset
from facerec.training.dlib_resnet import RESNET_FILE, DlibResNet, find_dlib_file, read_dlib_resnet
from facerec.training.recognition.student import CROP_SIZE, teacher_chips
from facerec.training.recognition.views import shared_views
from facerec.training.split import Indices

LABELLED_BLENDS = 0.5
"""Fraction of the faces with a label that are blended with another, and lose it. Of faces without a label all are."""

_CHUNK = 64


class Lesson(NamedTuple):
    """Views of N faces with what the teacher says of them, on the device that trains."""

    views: Tensor
    """uint8 `[N, 3, 160, 160]`."""
    targets: Tensor
    """The teacher's embeddings, not normalized, float32 `[N, 128]`."""
    labels: Tensor
    """int64 `[N]`, the class of each face, -1 for blends of two people."""


class Teacher:
    """dlib's network, which labels views.

    Args:
        dataset: aligned crops, uint8 `[M, 160, 160, 3]`.
        device: that computes.

    Raises:
        DataError: the package with dlib's file is missing or damaged.
    """

    def __init__(self, dataset: FaceDataset, *, device: torch.device) -> None:
        self._dataset = dataset
        self._device = device
        self._type = torch.float16 if device.type == "cuda" else torch.float32
        network: DlibResNet = read_dlib_resnet(find_dlib_file(RESNET_FILE))
        self._network = network.to(device, self._type).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def embed(self, crops: Tensor) -> Tensor:
        """The teacher's embeddings float32 `[N, 128]` of crops float32 `[N, 3, 160, 160]`, 0 to 255."""
        chips = teacher_chips(crops).to(self._type)
        embeddings: Tensor = self._network(chips.contiguous(memory_format=torch.channels_last))
        return embeddings.float()

    def embed_unchanged(self, indices: Indices) -> Tensor:
        """The teacher's embeddings float32 `[N, 128]` of crops of the data set as they are."""
        chunks = np.array_split(indices, math.ceil(len(indices) / _CHUNK))
        return torch.cat([self.embed(self._crops(chunk).permute(0, 3, 1, 2).float()) for chunk in chunks])

    def prepare_lesson(self, indices: Indices, *, labels: Indices | None = None, seed: tuple[int, ...]) -> Lesson:
        """Make a view of each image and embed it.

        Args:
            indices: int64 `[N]`, images of the data set.
            labels: int64 `[N]`, the class of each, if they are to be learned.
            seed: of all randomness.
        """
        random = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        others = random.permutation(indices)
        views = torch.empty(len(indices), 3, CROP_SIZE, CROP_SIZE, dtype=torch.uint8, device=self._device)
        targets, single = [], []
        starts = range(0, len(indices), _CHUNK)
        for start in tqdm(starts, desc="Teacher", unit=" steps", leave=False, disable=len(starts) < 16):
            part = slice(start, start + _CHUNK)
            shared, shows_one = shared_views(
                self._crops(indices[part]),
                self._crops(others[part]),
                blend_probability=1 if labels is None else LABELLED_BLENDS,
                generator=generator,
            )
            views[part] = shared.round().to(torch.uint8)
            targets.append(self.embed(views[part].float()))
            single.append(shows_one)
        classes = torch.from_numpy(np.full(len(indices), -1) if labels is None else labels).to(self._device)
        return Lesson(views, torch.cat(targets), torch.where(torch.cat(single), classes, -1))

    def _crops(self, indices: Indices) -> Tensor:
        return torch.from_numpy(self._dataset.crops[indices]).to(self._device)
