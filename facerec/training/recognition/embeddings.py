"""Embeddings of a data set's crops, and the templates of people that are made of them."""

import math
from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from facerec.training.split import Indices, Split

_CHUNK = 64
_SHOWN_FROM = 1000
"""Number of crops from which a progress bar is shown."""


class EmbeddingNetwork(nn.Module):
    """A network that turns crops into embeddings."""

    @abstractmethod
    def embed_crops(self, crops: Tensor) -> Tensor:
        """Convert crops uint8 `[N, S, S, 3]` to L2-normalized embeddings float32 `[N, D]`."""


class Embeddings:
    """The embeddings of a data set's M crops by one network. Each is computed once, when it is first needed.

    Args:
        network: in evaluation mode. Its weights may not change any more.
        crops: uint8 `[M, S, S, 3]`.
        mirrored: take the mirror images of the crops.
    """

    def __init__(self, network: EmbeddingNetwork, crops: NDArray[np.uint8], *, mirrored: bool = False) -> None:
        self._network = network
        self._crops = crops
        self._mirrored = mirrored
        self._computed: dict[int, Tensor] = {}

    def __call__(self, indices: Indices) -> Tensor:
        """L2-normalized embeddings float32 `[N, D]` of N > 0 crops, on the CPU."""
        missing = np.array(sorted(set(indices.tolist()) - self._computed.keys()), np.int64)
        if len(missing):
            rows = embed(self._network, self._crops, missing, mirrored=self._mirrored)
            self._computed |= dict(zip(missing.tolist(), rows, strict=True))
        return torch.stack([self._computed[index] for index in indices.tolist()])


@torch.inference_mode()
def embed(network: EmbeddingNetwork, crops: NDArray[np.uint8], indices: Indices, *, mirrored: bool = False) -> Tensor:
    """L2-normalized embeddings float32 `[N, D]` of N > 0 crops, on the CPU. Sets the network to evaluation mode.

    Args:
        network: the network.
        crops: uint8 `[M, S, S, 3]`.
        indices: int64 `[N]`, which of the crops.
        mirrored: take the mirror images of the crops.
    """
    network.eval()
    device = next(network.parameters()).device
    chunks = np.array_split(indices, math.ceil(len(indices) / _CHUNK))
    rows = []
    for chunk in tqdm(chunks, desc="Embedding", unit=" steps", leave=False, disable=len(indices) < _SHOWN_FROM):
        part = torch.from_numpy(crops[chunk]).to(device)
        rows.append(network.embed_crops(part.flip(2) if mirrored else part).cpu())
    return torch.cat(rows)


def template(samples: Tensor) -> Tensor:
    """The template of a person: the L2-normalized mean `[D]` of the person's L2-normalized embeddings `[K, D]`."""
    return functional.normalize(samples.mean(dim=0), dim=0)


def known_templates(embeddings: Embeddings, mirrored: Embeddings, split: Split) -> Tensor:
    """The templates `[P, D]` of the known people: of their training images and of the mirror images of these.

    Args:
        embeddings: of a data set's crops.
        mirrored: of the mirror images of these crops, by the same network.
        split: of the data set.
    """
    labels = split.labels[split.train]
    samples = torch.stack([embeddings(split.train), mirrored(split.train)])
    return torch.stack([template(samples[:, labels == person].flatten(0, 1)) for person in range(len(split.people))])
