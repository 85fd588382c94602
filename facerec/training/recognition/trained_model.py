"""What training gives: a network and the people whom it knows."""

from dataclasses import dataclass, field

from torch import Tensor

from facerec.training.recognition.embeddings import EmbeddingNetwork, Embeddings
from facerec.training.split import Indices


@dataclass(frozen=True)
class EpochStats:
    """Statistics of one epoch. Losses are mean cross-entropies, accuracies are on a scale of 0 to 1."""

    seconds: float
    """Duration of training and validation."""
    images: int
    """Training images."""
    train_loss: float
    """With the margin, over all classes."""
    train_accuracy: float
    validation_loss: float
    """Without the margin, over the known people."""
    validation_accuracy: float


@dataclass(frozen=True)
class PretrainingEpoch:
    """Statistics of one epoch in which the student learned nothing but the teacher's embeddings."""

    seconds: float
    """Duration, with the making of the views and the measurement."""
    images: int
    """Training images."""
    train_left: float
    """Fraction of the variance of the teacher's embeddings that the student does not give: 1 if it knows nothing, 0 if
    it gives the same. On the changed training images."""
    unknown_left: float
    """The same on unchanged images of unknown people, as the network is after the epoch."""


@dataclass(frozen=True)
class TrainedModel:
    """A network and the people whom it knows.

    Attributes:
        network: in evaluation mode.
        directions: L2-normalized `[P, D]`. The cosine similarity of an embedding to a known person is that to the
            person's direction.
        softmax_temperature: of the softmax over similarities, before calibration.
        embeddings: of the data set's crops.
        history: all epochs. Empty for a network that is not trained.
        pretraining: all epochs before those. Empty for a network without a teacher.
    """

    network: EmbeddingNetwork
    directions: Tensor
    softmax_temperature: float
    embeddings: Embeddings
    history: list[EpochStats]
    pretraining: list[PretrainingEpoch] = field(default_factory=list)

    @property
    def is_trained(self) -> bool:
        """Whether the network was trained on the data set's known and background people."""
        return bool(self.history)

    def similarities(self, indices: Indices) -> Tensor:
        """Cosine similarities float32 `[N, P]` of N > 0 crops of the data set to the known people, on the CPU."""
        return self.embeddings(indices) @ self.directions.T
