"""What `fit` needs to know of a way to train a recognizer."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from torch import Tensor

from facerec.training.recognition.embeddings import EmbeddingNetwork
from facerec.training.state import TrainState


class EpochResult(NamedTuple):
    """What an epoch gave, as means over its steps."""

    loss: float
    accuracy: float
    """Fraction of the images with a label that are classified correctly without the margin."""


class TrainingMethod(ABC):
    """A way to train a recognizer on one split.

    Attributes:
        state: of the run. Its network is an `EmbeddingNetwork`.
        softmax_temperature: of the softmax over similarities to the known people, before calibration.
        epoch_images: number of training images that an epoch shows to the network.
    """

    state: TrainState[Any]
    softmax_temperature: float
    epoch_images: int

    @abstractmethod
    def prepare(self) -> None:
        """Do what comes before the first epoch of a run that is not resumed."""

    @abstractmethod
    def is_prepared(self) -> bool:
        """Whether a stopped run left something for `prepare` to go on with."""

    @abstractmethod
    def train_epoch(self, epoch: int) -> EpochResult:
        """Take the steps of an epoch, counted from 0.

        Raises:
            FitError: the loss is no longer a number.
        """

    @abstractmethod
    def directions(self) -> Tensor:
        """The directions of the known people as the network is now, L2-normalized `[P, D]`, on the CPU."""

    def trained_network(self) -> EmbeddingNetwork:
        """The network as it is exported, in evaluation mode. Training can't go on with it."""
        network: EmbeddingNetwork = self.state.network
        return network.eval()
