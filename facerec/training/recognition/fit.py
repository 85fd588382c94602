"""Training: epochs of steps, an average of the weights, and the best epoch by validation accuracy."""

import copy
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from pydantic import JsonValue
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from facerec.training.backbone import load_backbone
from facerec.training.checkpoint import (
    Checkpoint,
    Stateful,
    refuse_to_overwrite,
    restore,
    save_checkpoint,
)
from facerec.training.dataset import FaceDataset
from facerec.training.distributed import own_shard, rank, world_size
from facerec.training.errors import OptionError
from facerec.training.metrics import Proportion
from facerec.training.optimizer import adamw, warmup_and_cosine
from facerec.training.options import Options
from facerec.training.recognition.network import SHOWN, FaceNetwork
from facerec.training.recognition.sampling import epoch_batches
from facerec.training.recognition.steps import similarities_to, train_one_epoch
from facerec.training.split import Split


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave. Losses are mean cross-entropies, accuracies shares of 1."""

    seconds: float
    images: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_images: int


@dataclass(frozen=True)
class Fitted:
    """A trained network, of the epoch that `best_epoch` says.

    Attributes:
        network: in evaluation mode.
        best_epoch: the epoch that it is of, from 1.
        history: all epochs.
    """

    network: FaceNetwork
    best_epoch: int
    history: list[Epoch]


def fit(dataset: FaceDataset, split: Split, options: Options, *, fold: int, device: torch.device) -> Fitted:
    """Train a network; after each epoch the run's state goes to `options.checkpoints`.

    Started by `torchrun`, each process trains on its share of every batch, and process 0 writes.

    Raises:
        CheckpointError: an unfinished run is in the way, or there is none to resume.
        TrainingError: the loss is no longer a number, or the device's memory is too small.
        DataError: the backbone's weights can't be loaded.
        OptionError: a batch is too small to share.
    """
    if options.batch_size < 2 * world_size():
        raise OptionError(
            f"--batch-size is {options.batch_size} and must be at least {2 * world_size()}: two images a process."
        )
    last = options.checkpoints / f"fold-{fold}" / "last.pt"
    recipe = recipe_of(dataset, options)
    run = Run.start(split, options, device=device)
    if options.resume and (fold == 0 or last.exists()):
        run.restore(last, recipe=recipe)
    elif rank() == 0 and fold == 0:
        _make_room(options.checkpoints)
    model = DistributedDataParallel(run.network) if world_size() > 1 else run.network

    for epoch in range(len(run.history), options.epochs):
        run.history.append(_train_and_validate(model, run, dataset, split, options, epoch=epoch))
        if best_epoch(run.history) == len(run.history):
            run.best.load_state_dict(run.average.state_dict())
        if rank() == 0:
            tqdm.write(_line(epoch, run.history[-1]))
            save_checkpoint({"recipe": recipe, "folds": options.folds, **run.state()}, last)
    return Fitted(run.best.eval(), best_epoch(run.history), run.history)


def _make_room(checkpoints: Path) -> None:
    """Clear a finished run away with all its folds, or they would be taken for folds of the new one; refuse else."""
    before = sorted(checkpoints.glob("fold-*/last.pt"))

    def finished(state: Checkpoint) -> bool:
        epochs: int = state["recipe"]["epochs"]
        folds: int = state["folds"]
        return len(state["history"]) == epochs and len(before) >= folds

    for last in before:
        refuse_to_overwrite(last, finished=finished)
    for last in before:
        shutil.rmtree(last.parent)


def recipe_of(dataset: FaceDataset, options: Options) -> dict[str, JsonValue]:
    """What decides which network training gives: the pictures, what is shown of them, and the options."""
    return options.training_recipe() | SHOWN | {"data": dataset.fingerprint}


@dataclass(frozen=True)
class Run:
    """All that changes while a network is trained."""

    network: FaceNetwork
    average: FaceNetwork
    best: FaceNetwork
    """The average after the best epoch."""
    optimizer: AdamW
    schedule: LambdaLR
    history: list[Epoch]

    @classmethod
    def start(cls, split: Split, options: Options, *, device: torch.device) -> Self:
        """Before its first step."""
        torch.manual_seed(options.seed)
        network = FaceNetwork(
            embedding_size=options.embedding_size, classes=len(split.people) + split.background_people
        )
        load_backbone(network, options.weights)
        network.freeze(unfrozen_blocks=options.unfrozen_blocks)
        network.to(device).to(memory_format=torch.channels_last)
        optimizer = adamw(network, options, backbone_rate=options.backbone_rate)
        steps = len(epoch_batches(split, options, epoch=0)) * options.epochs
        average, best = copy.deepcopy(network), copy.deepcopy(network)
        return cls(network, average, best, optimizer, LambdaLR(optimizer, warmup_and_cosine(steps)), [])

    def state(self) -> Checkpoint:
        """What a checkpoint keeps of it."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return parts | {"history": [asdict(epoch) for epoch in self.history]}

    def restore(self, path: Path, *, recipe: dict[str, JsonValue]) -> None:
        """Go on from the checkpoint at `path`, of a run with the options `recipe`."""
        state = restore(self._parts(), path, recipe=recipe)
        self.history.extend(Epoch(**epoch) for epoch in state["history"])

    def _parts(self) -> dict[str, Stateful]:
        return {name: part for name, part in vars(self).items() if name != "history"}


def _train_and_validate(
    model: FaceNetwork | DistributedDataParallel,
    run: Run,
    dataset: FaceDataset,
    split: Split,
    options: Options,
    *,
    epoch: int,
) -> Epoch:
    """One epoch and what the average of the weights gives on the validation images after it."""
    started = time.monotonic()
    batches = epoch_batches(split, options, epoch=epoch)
    shards = tqdm(
        own_shard(batches),
        desc=f"Epoch {epoch + 1}/{options.epochs}",
        unit=" steps",
        leave=False,
        disable=rank() > 0,
    )
    loss, accuracy = train_one_epoch(
        model,
        run.average,
        ((torch.from_numpy(dataset.crops[shard]), torch.from_numpy(split.labels[shard])) for shard in shards),
        run.optimizer,
        run.schedule,
        margin=options.margin,
        scale=options.scale,
        generator=torch.Generator().manual_seed((options.seed * 10_000 + epoch) * 1_000 + rank()),
    )
    similarities = similarities_to(len(split.people), run.average, dataset, split.validation)
    labels = torch.from_numpy(split.labels[split.validation])
    return Epoch(
        seconds=time.monotonic() - started,
        images=batches.size,
        train_loss=loss,
        train_accuracy=accuracy,
        validation_loss=functional.cross_entropy(options.scale * similarities, labels).item(),
        validation_accuracy=(similarities.argmax(1) == labels).double().mean().item(),
        validation_images=len(labels),
    )


def best_epoch(history: list[Epoch]) -> int:
    """The epoch, from 1, to export: the latest whose validation accuracy lies in the 95 % interval of the highest.

    On a few hundred images some right answers more mean nothing, while later epochs have averaged weights at lower
    learning rates.
    """
    images = history[0].validation_images
    highest = max(epoch.validation_accuracy for epoch in history)
    lowest = Proportion.from_counts(round(highest * images), images).low
    return max(n for n, epoch in enumerate(history, start=1) if epoch.validation_accuracy >= lowest)


def _line(epoch: int, entry: Epoch) -> str:
    return (
        f"Epoch {epoch + 1}: loss {entry.train_loss:.3f}, accuracy {entry.train_accuracy:.2%}; "
        f"validation loss {entry.validation_loss:.3f}, accuracy {entry.validation_accuracy:.2%}"
    )
