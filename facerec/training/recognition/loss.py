"""The large margin cosine loss: CosFace (Wang et al., 2018, arXiv:1801.09414)."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class CosineClassifier(nn.Module):
    """Cosine similarity of embeddings to one learned direction for each class.

    Args:
        embedding_size: length D of the embeddings.
        classes: number C of classes.
    """

    def __init__(self, *, embedding_size: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, embedding_size))
        nn.init.normal_(self.weight, std=embedding_size**-0.5)

    def directions(self) -> Tensor:
        """The classes' directions, L2-normalized `[C, D]`."""
        return functional.normalize(self.weight)

    def forward(self, embeddings: Tensor) -> Tensor:
        """L2-normalized embeddings `[N, D]` to cosine similarities `[N, C]`."""
        return functional.linear(embeddings, self.directions())


def cosine_margin_loss(similarities: Tensor, labels: Tensor, *, margin: float, scale: float) -> Tensor:
    """The mean cross-entropy with `margin` subtracted from the similarity to the correct class.

    Args:
        similarities: cosines `[N, C]`.
        labels: int64 `[N]`, the correct classes.
        margin: in cosine. With 0 this is a plain softmax on cosines.
        scale: inverse temperature of the softmax.
    """
    penalty = margin * functional.one_hot(labels, similarities.shape[1])
    return functional.cross_entropy(scale * (similarities - penalty), labels)
