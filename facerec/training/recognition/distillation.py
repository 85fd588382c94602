"""Teach MobileNetV3-Large the embeddings of dlib's network, then the known people.

First comes pretraining: the student learns to give the teacher's embeddings of background people's faces. No known and
no new person is among them, so that one pretraining serves all folds. Then the student learns the embeddings of known
and background people's training images, and their names besides, with a second embedding that is dropped at the end.
Known people are then the means of their embeddings, like the people whom somebody enrols.
"""

import hashlib
import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor
from tqdm import tqdm

from facerec.training.backbone import identify_weights
from facerec.training.dataset import FaceDataset
from facerec.training.errors import DataError
from facerec.training.options import PRETRAINING, RecognizerOptions, recipe
from facerec.training.recognition.dlib_network import SOFTMAX_TEMPERATURE
from facerec.training.recognition.embeddings import Embeddings, known_templates
from facerec.training.recognition.loss import cosine_margin_loss
from facerec.training.recognition.sampling import epoch_batches
from facerec.training.recognition.student import CHIP_PIXELS, CROP_SIZE, VIEW_SIZE, StudentNetwork
from facerec.training.recognition.teacher import Lesson, Teacher
from facerec.training.recognition.trained_model import PretrainingEpoch
from facerec.training.recognition.training_method import EpochResult, TrainingMethod
from facerec.training.recognition.views import student_inputs
from facerec.training.split import Indices, Split
from facerec.training.state import TrainState

INPUT_RECIPE: dict[str, JsonValue] = {"crop_size": CROP_SIZE, "view_size": VIEW_SIZE, "chip_pixels": CHIP_PIXELS}
"""The sizes of crop, view and chip. They are part of the training recipe, because they decide the weights."""

TEACHER_WEIGHT = 50.0
"""Weight of the fraction of the teacher's variance that is left, beside the loss of the labels."""

USES = 4
"""How often an epoch shows each of its views to the student, each time shifted and blurred in another way. The teacher
takes as long for a view as the student for one step on it, so that fewer uses would leave less time for steps."""

PRETRAINING_VERSION = 1
"""To be raised when the same options would give another pretrained student: when views, network or loss change."""

MEASURED_IMAGES = 512
"""Number of unknown people's images on which pretraining is measured after each epoch."""

_CHUNK = 64


class Distillation(TrainingMethod):
    """The student learns from teacher and labels together, after a pretraining by the teacher alone.

    Args:
        dataset: aligned crops, uint8 `[M, 160, 160, 3]`.
        split: which images are used for what.
        options: of the run.
        device: that trains.

    Raises:
        DataError: the teacher can't be loaded, or there are no background people.
    """

    state: TrainState[StudentNetwork]
    softmax_temperature = SOFTMAX_TEMPERATURE

    def __init__(self, dataset: FaceDataset, split: Split, options: RecognizerOptions, *, device: torch.device) -> None:
        if not len(split.background):
            raise DataError(
                "the teacher's embeddings are learned from pictures of background people, and there are none: leave "
                "out --background none, or take --teacher none."
            )
        self._dataset, self._split, self._options, self._device = dataset, split, options, device
        self._teacher = Teacher(dataset, device=device)
        images = epoch_batches(split, options, epoch=0).size
        self.epoch_images = USES * images
        torch.manual_seed(options.data.seed)
        network = StudentNetwork(classes=len(split.people) + split.background_people)
        network.freeze(unfrozen_blocks=options.model.unfrozen_blocks)
        steps = options.training.epochs * USES * (images // options.training.batch_size)
        rate = options.training.learning_rate
        self.state = _start_state(network, options, steps=steps, learning_rate=rate, device=device)

    def is_prepared(self) -> bool:
        return self._pretraining()[0].exists()

    def prepare(self) -> None:
        """Load the pretrained student into the network; pretrain it first, or go on with it, if that is not done.

        Raises:
            DataError: the start of the backbone can't be loaded.
            FitError: the loss is no longer a number.
            CheckpointError: the checkpoint is damaged, or can't be written.
        """
        pretrained = self._pretrain()
        self.state.network.load_state_dict(pretrained.network.state_dict(), strict=False)  # all but the classifier
        self.state.pretraining = pretrained.history

    def train_epoch(self, epoch: int) -> EpochResult:
        seed = self._options.data.seed
        indices = epoch_batches(self._split, self._options, epoch=epoch).ravel()
        lesson = self._teacher.prepare_lesson(indices, labels=self._split.labels[indices], seed=(seed, epoch, 1))
        name = f"Epoch {epoch + 1}/{self._options.training.epochs}"
        loss, accuracy, _ = teach(self.state, lesson, self._options, seed=(seed, epoch, 2), name=name)
        return EpochResult(loss, accuracy)

    def directions(self) -> Tensor:
        network, crops = self.state.network.eval(), self._dataset.crops
        return known_templates(Embeddings(network, crops), Embeddings(network, crops, mirrored=True), self._split)

    def trained_network(self) -> StudentNetwork:
        network = self.state.network
        network.classifier = None
        return network.eval()

    def _pretraining(self) -> tuple[Path, dict[str, JsonValue]]:
        """The path of the pretraining's checkpoint and its recipe. The recipe decides the path: others are kept."""
        background = self._split.background
        digest = hashlib.sha256("\n".join(self._dataset.paths[image] for image in background).encode())
        for image in background:
            digest.update(self._dataset.crops[image].tobytes())
        options = self._options
        described = recipe(options.data, options.model, options.training, marked=PRETRAINING) | INPUT_RECIPE
        described |= {
            "weights": identify_weights(options.model.weights),
            "pretraining_version": PRETRAINING_VERSION,
            "data_fingerprint": digest.hexdigest(),
        }
        name = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:12]
        return options.training.checkpoints / "pretraining" / f"{name}.pt", described

    def _pretrain(self) -> TrainState[StudentNetwork]:
        """The state of the pretraining after its last epoch. A checkpoint is written after each."""
        split, options, teacher = self._split, self._options, self._teacher
        path, described = self._pretraining()
        epochs, batch_size = options.training.pretraining_epochs, options.training.batch_size
        steps_per_use = max(1, len(split.background) // batch_size)
        torch.manual_seed(options.data.seed)
        network = StudentNetwork()
        network.start(options.model)
        steps, rate = epochs * USES * steps_per_use, options.training.pretraining_learning_rate
        state = _start_state(network, options, steps=steps, learning_rate=rate, device=self._device)
        state.rate_option = "--pretraining-learning-rate"
        if path.exists():
            state.restore(path, recipe=described)
        else:
            embeddings = teacher.embed_unchanged(split.background)
            network.teacher_mean.copy_(embeddings.mean(dim=0))
            network.teacher_variance.copy_(embeddings.var(dim=0, unbiased=False).sum())
        measured = split.unknown_validation[:MEASURED_IMAGES]
        targets = teacher.embed_unchanged(measured) if len(state.history) < epochs else None
        for epoch in range(len(state.history), epochs):
            started = time.monotonic()
            seed = options.data.seed
            indices = np.random.default_rng((seed, epoch, 3)).permutation(split.background)
            lesson = teacher.prepare_lesson(indices, seed=(seed, epoch, 4))
            name = f"Pretraining {epoch + 1}/{epochs}"
            _, _, left = teach(state, lesson, options, seed=(seed, epoch, 5), name=name)
            assert targets is not None
            stats = PretrainingEpoch(
                seconds=time.monotonic() - started,
                images=USES * len(indices),
                train_left=left,
                unknown_left=self._left(network, measured, targets),
            )
            state.history.append(asdict(stats))
            tqdm.write(
                f"{name}: left of the teacher's variance {stats.train_left:.3f}, "
                f"on unknown people {stats.unknown_left:.3f}"
            )
            state.save(path, recipe=described)
        return state

    @torch.inference_mode()
    def _left(self, network: StudentNetwork, indices: Indices, targets: Tensor) -> float:
        """The fraction of the teacher's variance that the student does not give on unchanged images."""
        network.eval()
        chunks = np.array_split(indices, math.ceil(len(indices) / _CHUNK))
        crops = (torch.from_numpy(self._dataset.crops[chunk]).to(self._device) for chunk in chunks)
        embeddings = torch.cat([network(network.view(part))[0] for part in crops])
        return fraction_left(network, embeddings, targets).item()


def teach(
    state: TrainState[StudentNetwork], lesson: Lesson, options: RecognizerOptions, *, seed: tuple[int, ...], name: str
) -> tuple[float, float, float]:
    """Show each view of a lesson `USES` times to the student.

    Args:
        state: of the run.
        lesson: the views.
        options: of the run.
        seed: of all randomness.
        name: of the progress bar.

    Returns:
        Mean loss of a step; fraction of the labels that are right without the margin, 0 without labels; mean fraction
        of the teacher's variance that is left.

    Raises:
        FitError: the loss is no longer a number.
    """
    random = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(random.integers(2**62)))
    count = len(lesson.views)
    batches = [
        batch
        for _ in range(USES)
        for batch in np.array_split(random.permutation(count), max(1, count // options.training.batch_size))
    ]
    state.network.train()
    steps: list[StepResult] = []
    progress = tqdm(batches, desc=name, unit=" steps", leave=False)
    for number, batch in enumerate(progress):
        rows = torch.from_numpy(batch).to(lesson.views.device)
        steps.append(distil_step(state, Lesson(*(part[rows] for part in lesson)), options, generator=generator))
        if number % 20 == 0:
            progress.set_postfix(left=f"{np.mean([step.left for step in steps[-20:]]):.3f}")
    loss, left, right, labelled = np.mean(steps, axis=0).tolist()
    return loss, right / labelled if labelled else 0.0, left


class StepResult(NamedTuple):
    """What a step gave."""

    loss: float
    left: float
    """The fraction of the teacher's variance that is left."""
    right: int
    """Number of the labels that are right without the margin."""
    labelled: int
    """Number of the labels."""


def distil_step(
    state: TrainState[StudentNetwork], batch: Lesson, options: RecognizerOptions, *, generator: torch.Generator
) -> StepResult:
    """Take one optimization step.

    Args:
        state: of the run. The labels count if its network has a classifier.
        batch: views of N faces.
        options: of the run.
        generator: source of the random augmentation.

    Raises:
        FitError: the loss is no longer a number.
    """
    network, training = state.network, options.training
    device = batch.views.device
    images = student_inputs(batch.views, generator=generator)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        embeddings, features = network(images)
    left = fraction_left(network, embeddings, batch.targets)
    loss = TEACHER_WEIGHT * left
    right = 0
    labelled = batch.labels >= 0
    labels = batch.labels[labelled]
    if network.classifier is None or len(labels) < 2:  # BatchNorm needs two images
        labels = labels[:0]
    else:
        similarities = network.classifier(features[labelled].float())
        loss = loss + cosine_margin_loss(similarities, labels, margin=training.margin, scale=training.scale)
        right = int((similarities.argmax(1) == labels).sum())
    return StepResult(state.take_step(loss), left.item(), right, len(labels))


def fraction_left(network: StudentNetwork, embeddings: Tensor, targets: Tensor) -> Tensor:
    """The mean squared distance of embeddings to the teacher's `[N, 128]`, as a fraction of the teacher's variance."""
    return (embeddings - targets).square().sum(dim=1).mean() / network.teacher_variance


def _start_state(
    network: StudentNetwork, options: RecognizerOptions, *, steps: int, learning_rate: float, device: torch.device
) -> TrainState[StudentNetwork]:
    """The state before the first of `steps` steps."""
    network.to(device).to(memory_format=torch.channels_last)
    return TrainState.start(
        network,
        steps=steps,
        learning_rate=learning_rate,
        backbone_rate=options.training.backbone_rate,
        weight_decay=options.training.weight_decay,
    )
