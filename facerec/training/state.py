"""The state of a training run, as saved in a checkpoint."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Self, TypeVar

from pydantic import JsonValue
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from facerec.training.checkpoint import load_checkpoint, refuse_to_overwrite, save_checkpoint, wrong_version_error
from facerec.training.errors import FitError
from facerec.training.optimizer import adamw, warmup_and_cosine

Network = TypeVar("Network", bound=nn.Module)


@dataclass
class TrainState(Generic[Network]):
    """Everything that changes while a network is trained.

    Attributes:
        network: the network.
        optimizer: updates its weights.
        schedule: the schedule of the learning rate. Its `last_epoch` is the number of steps taken.
        history: statistics of each finished epoch, as plain values. Empty where training has steps but no epochs.
        pretraining: statistics of each epoch of the recognizer's pretraining, as plain values.
        rate_option: the option that sets the learning rate, for error messages.
    """

    network: Network
    optimizer: AdamW
    schedule: LambdaLR
    history: list[dict[str, JsonValue]] = field(default_factory=list)
    pretraining: list[dict[str, JsonValue]] = field(default_factory=list)
    rate_option: str = "--learning-rate"

    @classmethod
    def start(
        cls, network: Network, *, steps: int, learning_rate: float, backbone_rate: float, weight_decay: float
    ) -> Self:
        """The state before the first of `steps` steps. Parameters that are not trained must already be frozen."""
        optimizer = adamw(network, learning_rate=learning_rate, backbone_rate=backbone_rate, weight_decay=weight_decay)
        return cls(network, optimizer, LambdaLR(optimizer, warmup_and_cosine(steps)))

    @property
    def steps(self) -> int:
        """The number of steps taken."""
        return self.schedule.last_epoch

    def take_step(self, loss: Tensor) -> float:
        """Take one step of the optimizer and of the schedule, and return the loss as a number.

        Raises:
            FitError: the loss is not finite. The weights are as they were before.
        """
        value = loss.item()
        if not math.isfinite(value):
            raise FitError(
                f"the loss is {value} at step {self.steps + 1}. Checkpoints that were written before are unchanged; "
                f"start anew with a lower {self.rate_option}."
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return value

    def save(self, path: Path, *, recipe: dict[str, JsonValue], **extra: JsonValue) -> None:
        """Write a checkpoint.

        Args:
            path: of the checkpoint.
            recipe: the options that decide the weights.
            extra: further entries of the checkpoint.

        Raises:
            CheckpointError: it can't be written, for example because the disk is full.
        """
        states = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        histories = {"history": self.history, "pretraining": self.pretraining}
        save_checkpoint({"recipe": recipe, **histories, **states, **extra}, path)

    def begin(self, path: Path, *, recipe: dict[str, JsonValue], resume: bool) -> None:
        """Continue from the checkpoint of a stopped run, or delete that of a finished one.

        The recipe has the number of steps as `steps`.

        Raises:
            CheckpointError: an unfinished run would be overwritten, or there is none to resume.
        """
        if resume:
            self.restore(path, recipe=recipe)
            return
        refuse_to_overwrite(path, finished=lambda found: found["schedule"]["last_epoch"] == found["recipe"]["steps"])
        path.unlink(missing_ok=True)

    def restore(self, path: Path, *, recipe: dict[str, JsonValue]) -> None:
        """Continue from the checkpoint at `path`.

        Raises:
            CheckpointError: it is missing, damaged, of a run with another recipe, or of another version.
        """
        checkpoint = load_checkpoint(path, recipe=recipe)
        try:
            self.network.load_state_dict(checkpoint["network"])
            self.optimizer.load_state_dict(checkpoint["optimizer"])
            self.schedule.load_state_dict(checkpoint["schedule"])
            self.history = checkpoint["history"]
            self.pretraining = checkpoint["pretraining"]
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise wrong_version_error(path, error) from error
