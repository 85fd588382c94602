"""Train MobileNetV3-Large as a recognizer."""

import shutil
import time
from dataclasses import asdict
from pathlib import Path

import torch
from pydantic import JsonValue, TypeAdapter
from torch.nn import functional
from tqdm import tqdm

from facerec.training.backbone import identify_weights
from facerec.training.checkpoint import Checkpoint, refuse_to_overwrite
from facerec.training.dataset import FaceDataset
from facerec.training.device import explained_out_of_memory
from facerec.training.distributed import rank, world_size
from facerec.training.errors import OptionError
from facerec.training.options import RecognizerOptions
from facerec.training.recognition.distillation import INPUT_RECIPE as STUDENT_INPUT_RECIPE
from facerec.training.recognition.distillation import Distillation
from facerec.training.recognition.embeddings import Embeddings, embed
from facerec.training.recognition.label_training import LabelTraining
from facerec.training.recognition.network import INPUT_RECIPE
from facerec.training.recognition.trained_model import EpochStats, PretrainingEpoch, TrainedModel
from facerec.training.split import Split


@explained_out_of_memory("lower --batch-size, or name fewer background people with --background")
def fit(
    dataset: FaceDataset, split: Split, options: RecognizerOptions, *, fold: int, device: torch.device
) -> TrainedModel:
    """Train a network on one fold and write a checkpoint after each epoch.

    Where `torchrun` started several processes, process 0 writes.

    Raises:
        CheckpointError: an unfinished run would be overwritten, or there is none to resume.
        FitError: the loss is no longer a number, or the device's memory is too small.
        DataError: the start of the backbone or the teacher can't be loaded.
        OptionError: the batch is smaller than two images for each process.
    """
    training = options.training
    if training.batch_size < 2 * world_size():
        raise OptionError(
            f"--batch-size is {training.batch_size} and must be at least {2 * world_size()}: two images a process."
        )
    checkpoint = training.checkpoints / f"fold-{fold}" / "last.pt"
    recipe = fit_recipe(dataset, options)
    method = (LabelTraining if options.model.teacher == "none" else Distillation)(
        dataset, split, options, device=device
    )
    state = method.state
    if training.resume and (checkpoint.exists() or (fold == 0 and not method.is_prepared())):
        state.restore(checkpoint, recipe=recipe)
    else:
        if rank() == 0 and fold == 0:
            _delete_finished_run(training.checkpoints)
        method.prepare()

    for epoch in range(len(state.history), training.epochs):
        started = time.monotonic()
        result = method.train_epoch(epoch)
        similarities = embed(state.network, dataset.crops, split.validation) @ method.directions().T
        labels = torch.from_numpy(split.labels[split.validation])
        stats = EpochStats(
            seconds=time.monotonic() - started,
            images=method.epoch_images,
            train_loss=result.loss,
            train_accuracy=result.accuracy,
            validation_loss=functional.cross_entropy(similarities / method.softmax_temperature, labels).item(),
            validation_accuracy=(similarities.argmax(1) == labels).double().mean().item(),
        )
        state.history.append(asdict(stats))
        if rank() == 0:
            tqdm.write(_describe(epoch, stats))
            state.save(checkpoint, recipe=recipe, folds=training.folds)
    directions, network = method.directions(), method.trained_network()
    return TrainedModel(
        network=network,
        directions=directions,
        softmax_temperature=method.softmax_temperature,
        embeddings=Embeddings(network, dataset.crops),
        history=TypeAdapter(list[EpochStats]).validate_python(state.history),
        pretraining=TypeAdapter(list[PretrainingEpoch]).validate_python(state.pretraining),
    )


def fit_recipe(dataset: FaceDataset, options: RecognizerOptions) -> dict[str, JsonValue]:
    """Everything that decides the weights: options, start, what the network sees of a crop, and the crops themselves.

    Raises:
        DataError: the file that the network starts from can't be read.
    """
    inputs = INPUT_RECIPE if options.model.teacher == "none" else STUDENT_INPUT_RECIPE
    weights = identify_weights(options.model.weights)
    return options.training_recipe() | inputs | {"weights": weights, "data_fingerprint": dataset.fingerprint}


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
