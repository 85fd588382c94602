"""A network whose embeddings are written in a table, for tests that need to know them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facerec.training.recognition.embeddings import EmbeddingNetwork, Embeddings
from facerec.training.recognition.trained_model import TrainedModel


class TableNetwork(EmbeddingNetwork):
    """The embedding of a crop is the row of a table that the value of its first pixel names.

    Args:
        table: L2-normalized embeddings `[R, D]` of up to 256 crops.
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table, requires_grad=False)
        self.embedded: list[int] = []
        """The rows that were looked up, in order."""

    def embed_crops(self, crops: Tensor) -> Tensor:
        rows = crops[:, 0, 0, 0].long()
        self.embedded += rows.tolist()
        return self.table[rows]


def table_crops(rows: list[int], mirrored_rows: list[int], *, side: int = 2) -> NDArray[np.uint8]:
    """Crops uint8 `[N, side, side, 3]` of given rows, whose mirror images are those of other rows."""
    crops = np.zeros((len(rows), side, side, 3), np.uint8)
    crops[:, :, 0] = np.array(rows)[:, None, None]
    crops[:, :, -1] = np.array(mirrored_rows)[:, None, None]
    return crops


def table_model(
    table: Tensor, crops: NDArray[np.uint8], directions: Tensor, *, softmax_temperature: float = 1 / 32
) -> TrainedModel:
    """A model with a `TableNetwork` for `crops`."""
    network = TableNetwork(table)
    return TrainedModel(network, directions, softmax_temperature, Embeddings(network, crops), history=[])


def complete(leading: list[list[float]]) -> Tensor:
    """Unit vectors `[R, D + 1]` that begin with the given numbers `[R, D]`."""
    rows = torch.tensor(leading)
    return torch.cat([rows, (1 - rows.square().sum(dim=1, keepdim=True)).sqrt()], dim=1)
