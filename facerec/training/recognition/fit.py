"""Train MobileNetV3-Large as a recognizer."""

import math
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from pydantic import JsonValue, TypeAdapter
from torch import Tensor
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from facerec.training.backbone import load_backbone
from facerec.training.checkpoint import Checkpoint, refuse_to_overwrite
from facerec.training.dataset import FaceDataset
from facerec.training.distributed import mean_over_processes, own_shard, rank, world_size
from facerec.training.errors import FitError, OptionError
from facerec.training.options import RecognizerOptions
from facerec.training.recognition.augment import augment
from facerec.training.recognition.embeddings import Embeddings, embed
from facerec.training.recognition.loss import cosine_margin_loss
from facerec.training.recognition.network import INPUT_RECIPE, FaceNetwork
from facerec.training.recognition.sampling import epoch_batches
from facerec.training.recognition.trained_model import EpochStats, TrainedModel
from facerec.training.split import Split
from facerec.training.state import TrainState


def fit(
    dataset: FaceDataset, split: Split, options: RecognizerOptions, *, fold: int, device: torch.device
) -> TrainedModel:
    """Train a network on one fold and write a checkpoint after each epoch.

    Where `torchrun` started several processes, each trains on its shard of every batch, and process 0 writes.

    Raises:
        CheckpointError: an unfinished run would be overwritten, or there is none to resume.
        FitError: the loss is no longer a number, or the device's memory is too small.
        DataError: the start of the backbone can't be loaded.
        OptionError: the batch is smaller than two images for each process.
    """
    training, people = options.training, len(split.people)
    if training.batch_size < 2 * world_size():
        raise OptionError(
            f"--batch-size is {training.batch_size} and must be at least {2 * world_size()}: two images a process."
        )
    checkpoint = training.checkpoints / f"fold-{fold}" / "last.pt"
    recipe = fit_recipe(dataset, options)
    state = start_state(split, options, device=device)
    network = state.network
    if training.resume and (fold == 0 or checkpoint.exists()):
        state.restore(checkpoint, recipe=recipe)
    elif rank() == 0 and fold == 0:
        _delete_finished_run(training.checkpoints)
    model = DistributedDataParallel(network) if world_size() > 1 else network

    for epoch in range(len(state.history), training.epochs):
        started = time.monotonic()
        batches = epoch_batches(split, options, epoch=epoch)
        generator = torch.Generator().manual_seed((options.data.seed * 10_000 + epoch) * 1_000 + rank())
        progress = tqdm(
            own_shard(batches),
            desc=f"Epoch {epoch + 1}/{training.epochs}",
            unit=" steps",
            leave=False,
            disable=rank() > 0,
        )
        model.train()
        steps = [
            train_step(
                model,
                state,
                torch.from_numpy(dataset.crops[indices]),
                torch.from_numpy(split.labels[indices]),
                options,
                generator=generator,
            )
            for indices in progress
        ]
        train_loss, train_accuracy = mean_over_processes(*np.mean(steps, axis=0).tolist())
        directions = network.classifier.directions()[:people].detach().cpu()
        similarities = embed(network, dataset.crops, split.validation) @ directions.T
        labels = torch.from_numpy(split.labels[split.validation])
        stats = EpochStats(
            seconds=time.monotonic() - started,
            images=batches.size,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            validation_loss=functional.cross_entropy(training.scale * similarities, labels).item(),
            validation_accuracy=(similarities.argmax(1) == labels).double().mean().item(),
        )
        state.history.append(asdict(stats))
        if rank() == 0:
            tqdm.write(_describe(epoch, stats))
            state.save(checkpoint, recipe=recipe, folds=training.folds)
    return TrainedModel(
        network=network.eval(),
        directions=network.classifier.directions()[:people].detach().cpu(),
        softmax_temperature=1 / training.scale,
        embeddings=Embeddings(network, dataset.crops),
        history=TypeAdapter(list[EpochStats]).validate_python(state.history),
    )


def start_state(split: Split, options: RecognizerOptions, *, device: torch.device) -> TrainState[FaceNetwork]:
    """The state before the first step. The network has a class for each known and each background person."""
    torch.manual_seed(options.data.seed)
    network = FaceNetwork(
        embedding_size=options.model.embedding_size, classes=len(split.people) + split.background_people
    )
    load_backbone(network, options.model.weights)
    network.freeze(unfrozen_blocks=options.model.unfrozen_blocks)
    network.to(device).to(memory_format=torch.channels_last)
    return TrainState.start(
        network,
        steps=len(epoch_batches(split, options, epoch=0)) * options.training.epochs,
        learning_rate=options.training.learning_rate,
        backbone_rate=options.training.backbone_rate,
        weight_decay=options.training.weight_decay,
    )


def train_step(
    model: FaceNetwork | DistributedDataParallel,
    state: TrainState[FaceNetwork],
    crops: Tensor,
    labels: Tensor,
    options: RecognizerOptions,
    *,
    generator: torch.Generator,
) -> tuple[float, float]:
    """Take one optimization step.

    Args:
        model: `state.network`, or its wrapper for several processes.
        state: of the run.
        crops: uint8 `[N, 250, 250, 3]`.
        labels: int64 `[N]`, the correct classes.
        options: of the run.
        generator: source of the random augmentation.

    Returns:
        The loss, and the fraction of the crops that are classified correctly without the margin.

    Raises:
        FitError: the loss is no longer a number, or the device's memory is too small.
    """
    training = options.training
    device = next(model.parameters()).device
    try:
        images, labels = augment(crops.to(device), generator=generator), labels.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            similarities = model(images)
        loss = cosine_margin_loss(similarities.float(), labels, margin=training.margin, scale=training.scale)
        if not math.isfinite(loss.item()):
            raise FitError(
                f"the loss is {loss.item()} at step {state.steps + 1}. The checkpoint of the last finished epoch is "
                "unchanged; start anew with a lower --learning-rate."
            )
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
    except torch.OutOfMemoryError as error:
        raise FitError(f"the device's memory is too small: lower --batch-size. ({error})") from error
    state.schedule.step()
    return loss.item(), (similarities.argmax(1) == labels).double().mean().item()


def fit_recipe(dataset: FaceDataset, options: RecognizerOptions) -> dict[str, JsonValue]:
    """Everything that decides the weights: the options, what the network sees of a crop, and the crops themselves."""
    return options.training_recipe() | INPUT_RECIPE | {"data_fingerprint": dataset.fingerprint}


def _delete_finished_run(checkpoints: Path) -> None:
    """Delete the checkpoints of a finished run with all its folds, which would be taken for folds of the new run.

    Raises:
        CheckpointError: the run is not finished.
    """
    found = sorted(checkpoints.glob("fold-*/last.pt"))

    def finished(checkpoint: Checkpoint) -> bool:
        epochs: int = checkpoint["recipe"]["epochs"]
        folds: int = checkpoint["folds"]
        return len(checkpoint["history"]) == epochs and len(found) >= folds

    for path in found:
        refuse_to_overwrite(path, finished=finished)
    for path in found:
        shutil.rmtree(path.parent)


def _describe(epoch: int, stats: EpochStats) -> str:
    return (
        f"Epoch {epoch + 1}: loss {stats.train_loss:.3f}, accuracy {stats.train_accuracy:.2%}; "
        f"validation loss {stats.validation_loss:.3f}, accuracy {stats.validation_accuracy:.2%}"
    )
