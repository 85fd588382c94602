"""Training: epochs of steps, an average of the weights, and the best checkpoint by validation accuracy."""

import copy
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from tqdm import tqdm

from facerec.learning.augment import augment
from facerec.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from facerec.learning.dataset import FaceImages
from facerec.learning.distributed import mean_over_processes, rank, world_size
from facerec.learning.errors import CheckpointError, TrainingError
from facerec.learning.margin import cosine_margin_loss
from facerec.learning.network import CROP_SIZE, FaceNetwork, load_backbone
from facerec.learning.options import Options
from facerec.learning.roles import Indices, Roles

WARMUP_SHARE = 0.1
"""Share of all steps over which the learning rate rises."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave. Losses are mean cross-entropies, accuracies shares of 1."""

    seconds: float
    images: int
    size: int
    """Of the training images, in pixels."""
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_images: int


@dataclass(frozen=True)
class Fitted:
    """A trained network, the best of its run.

    Attributes:
        network: in evaluation mode.
        best_epoch: the epoch that it is of, from 1.
        history: all epochs.
    """

    network: FaceNetwork
    best_epoch: int
    history: list[Epoch]


def fit(faces: FaceImages, roles: Roles, options: Options, *, fold: int, device: torch.device) -> Fitted:
    """Train a network; after each epoch the run's state goes to `options.checkpoints`.

    Started by `torchrun`, each process trains on its share of every batch, and process 0 validates and writes.

    Raises:
        CheckpointError: an unfinished run is in the way, or there is none to resume.
        TrainingError: the loss is no longer a number, or the device's memory is too small.
        DataError: the backbone's weights can't be loaded.
    """
    folder = options.checkpoints / f"fold-{fold}"
    recipe = options.recipe() | {"data": faces.fingerprint}
    last, best = folder / "last.pt", folder / "best.pt"
    run = _Run.start(roles, options, device=device)
    if options.resume and (fold == 0 or last.exists()):
        run.restore(load_checkpoint(last, recipe=recipe))
    elif rank() == 0:
        _refuse_to_overwrite(last)
    model = DistributedDataParallel(run.network) if world_size() > 1 else run.network

    for epoch in range(len(run.history), options.epochs):
        run.history.append(_train_and_validate(model, run, faces, roles, options, epoch=epoch))
        if rank() == 0:
            tqdm.write(_line(epoch, run.history[-1]))
            if best_epoch(run.history) == len(run.history):
                save_checkpoint({"recipe": recipe, "average": run.average.state_dict()}, best)
            save_checkpoint({"recipe": recipe, **run.state()}, last)

    if rank() == 0:
        run.average.load_state_dict(load_checkpoint(best, recipe=recipe)["average"])
    return Fitted(run.average.eval(), best_epoch(run.history), run.history)


@dataclass(frozen=True)
class _Run:
    """All that changes while a network is trained."""

    network: FaceNetwork
    average: FaceNetwork
    optimizer: AdamW
    schedule: LambdaLR
    history: list[Epoch]

    @classmethod
    def start(cls, roles: Roles, options: Options, *, device: torch.device) -> Self:
        torch.manual_seed(options.seed)
        network = FaceNetwork(embedding_size=options.embedding_size, classes=len(roles.people) + roles.other_people)
        load_backbone(network, options.weights)
        network.freeze(unfrozen_blocks=options.unfrozen_blocks)
        network.to(device).to(memory_format=torch.channels_last)
        optimizer = _optimizer(network, options)
        steps = len(epoch_batches(roles, options, epoch=0)) * options.epochs
        return cls(network, copy.deepcopy(network), optimizer, LambdaLR(optimizer, _warmup_and_cosine(steps)), [])

    def state(self) -> Checkpoint:
        parts = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer", "schedule")}
        return parts | {"history": [asdict(epoch) for epoch in self.history]}

    def restore(self, state: Checkpoint) -> None:
        for name in ("network", "average", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])
        self.history.extend(Epoch(**epoch) for epoch in state["history"])


def _train_and_validate(
    model: FaceNetwork | DistributedDataParallel,
    run: _Run,
    faces: FaceImages,
    roles: Roles,
    options: Options,
    *,
    epoch: int,
) -> Epoch:
    """One epoch and what the average of the weights gives on the validation images after it."""
    started = time.monotonic()
    batches = epoch_batches(roles, options, epoch=epoch)
    shares = tqdm(
        batches[:, rank() :: world_size()],
        desc=f"Epoch {epoch + 1}/{options.epochs}",
        unit=" steps",
        leave=False,
        disable=rank() > 0,
    )
    size = options.small_size if epoch < options.small_epochs else CROP_SIZE
    loss, accuracy = train_one_epoch(
        model,
        run.average,
        ((torch.from_numpy(faces.frames[share]), torch.from_numpy(roles.labels[share])) for share in shares),
        run.optimizer,
        run.schedule,
        size=size,
        margin=options.margin,
        scale=options.scale,
        ema_decay=options.ema_decay,
        generator=torch.Generator().manual_seed((options.seed * 10_000 + epoch) * 1_000 + rank()),
    )
    similarities = recognise_all(run.average, faces, roles.validation, people=len(roles.people))[0]
    labels = torch.from_numpy(roles.labels[roles.validation])
    return Epoch(
        seconds=time.monotonic() - started,
        images=batches.size,
        size=size,
        train_loss=loss,
        train_accuracy=accuracy,
        validation_loss=functional.cross_entropy(options.scale * similarities, labels).item(),
        validation_accuracy=(similarities.argmax(1) == labels).double().mean().item(),
        validation_images=len(labels),
    )


def train_one_epoch(
    model: FaceNetwork | DistributedDataParallel,
    average: FaceNetwork,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    schedule: LRScheduler,
    *,
    size: int,
    margin: float,
    scale: float,
    ema_decay: float,
    generator: torch.Generator,
) -> tuple[float, float]:
    """One optimisation step per batch of frames uint8 `[N, 250, 250, 3]` and labels int64 `[N]`.

    Returns:
        The mean loss with the margin, and the share of images classified rightly without it, over all processes.

    Raises:
        TrainingError: the loss is no longer a number, or the device's memory is too small.
    """
    network = model.module if isinstance(model, DistributedDataParallel) else model
    device = next(model.parameters()).device
    model.train()
    losses: list[float] = []
    correct = total = 0
    for frames, classes in batches:
        try:
            images = augment(frames.to(device), size=size, generator=generator)
            labels = classes.to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                similarities = model(images)
            loss = cosine_margin_loss(similarities.float(), labels, margin=margin, scale=scale)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise TrainingError(
                    f"the loss is {losses[-1]} at step {schedule.last_epoch + 1}. The checkpoint of the last finished "
                    "epoch is unchanged; start anew with a lower --learning-rate."
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        except torch.OutOfMemoryError as error:
            raise TrainingError(f"the device's memory is too small: lower --batch-size. ({error})") from error
        schedule.step()
        update_average(average, network, decay=ema_decay, steps=schedule.last_epoch)
        correct += int((similarities.argmax(1) == labels).sum())
        total += len(labels)
    loss_mean, accuracy = mean_over_processes(float(np.mean(losses)), correct / total)
    return loss_mean, accuracy


@torch.inference_mode()
def recognise_all(network: FaceNetwork, faces: FaceImages, images: Indices, *, people: int) -> tuple[Tensor, Tensor]:
    """Similarities `[N, people]` and embeddings `[N, D]` of the chosen images, on the CPU."""
    network.eval()
    device = next(network.parameters()).device
    parts = [
        network.recognise(torch.from_numpy(faces.frames[chunk]).to(device), people=people)
        for chunk in np.array_split(images, math.ceil(len(images) / 64))
    ]
    similarities, embeddings = (torch.cat(tensors).cpu() for tensors in zip(*parts, strict=True))
    return similarities, embeddings


def epoch_batches(roles: Roles, options: Options, *, epoch: int) -> NDArray[np.int64]:
    """The images of an epoch's steps, int64 `[steps, batch]`: half of known people, half of others."""
    random = np.random.default_rng([options.seed, epoch])
    counts = np.bincount(roles.labels[roles.train])[roles.labels[roles.train]]
    weights = counts.astype(np.float64) ** -options.balance
    known_per_step = options.batch_size // 2 if len(roles.others) else options.batch_size
    steps = math.ceil(max(len(roles.train), options.min_epoch_images) / known_per_step)
    known = _draw(roles.train, weights, steps * known_per_step, random)
    others = _draw(roles.others, np.ones(len(roles.others)), steps * (options.batch_size - known_per_step), random)
    return np.concatenate([known.reshape(steps, -1), others.reshape(steps, -1)], axis=1)


def _draw(images: Indices, weights: NDArray[np.float64], count: int, random: np.random.Generator) -> Indices:
    """`count` images in random order, each as often as its weight says to within one (systematic sampling)."""
    if not count:
        return images[:0]
    order = random.permutation(len(images))
    upto = np.cumsum(weights[order]) * count / weights.sum()
    drawn = np.searchsorted(upto, random.random() + np.arange(count)).clip(max=len(images) - 1)
    return random.permutation(images[order[drawn]])


def _optimizer(network: FaceNetwork, options: Options) -> AdamW:
    """AdamW on what is not frozen, with weight decay on matrices and convolutions, not on biases and BatchNorm."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=options.learning_rate)


def _warmup_and_cosine(steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at each step: a linear rise, then half a cosine to zero (arXiv:1608.03983)."""
    warmup = max(1, round(WARMUP_SHARE * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return factor


@torch.no_grad()
def update_average(average: FaceNetwork, network: FaceNetwork, *, decay: float, steps: int) -> None:
    """Move the exponential moving average of the weights towards `network`; its window grows with the steps taken."""
    weight = 1 - min(decay, (1 + steps) / (10 + steps))
    for mean, current in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(current, weight)
        else:
            mean.copy_(current)


def best_epoch(history: list[Epoch]) -> int:
    """The epoch, from 1, to export: by validation accuracy, and the latest of those that it can't tell apart.

    On a few hundred images one more right answer means nothing, while later epochs have averaged more weights at lower
    learning rates: hence the latest within one standard error of the highest accuracy (Breiman et al., 1984).
    """
    highest = max(epoch.validation_accuracy for epoch in history)
    error = math.sqrt(highest * (1 - highest) / history[0].validation_images)
    return max(n for n, epoch in enumerate(history, start=1) if epoch.validation_accuracy >= highest - error)


def _refuse_to_overwrite(last: Path) -> None:
    if last.exists():
        raise CheckpointError(
            f"{last.parent} holds another run: go on with it (--resume), or delete or rename that folder."
        )


def _line(epoch: int, entry: Epoch) -> str:
    return (
        f"Epoch {epoch + 1}, {entry.size} px: loss {entry.train_loss:.3f}, accuracy {entry.train_accuracy:.2%}; "
        f"validation loss {entry.validation_loss:.3f}, accuracy {entry.validation_accuracy:.2%}"
    )
