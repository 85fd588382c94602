"""Train MobileNetV3-Large on the names of known and background people alone."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from facerec.training.dataset import FaceDataset
from facerec.training.distributed import mean_over_processes, own_shard, rank, world_size
from facerec.training.options import RecognizerOptions
from facerec.training.recognition.augment import augment
from facerec.training.recognition.loss import cosine_margin_loss
from facerec.training.recognition.network import FaceNetwork
from facerec.training.recognition.sampling import epoch_batches
from facerec.training.recognition.training_method import EpochResult, TrainingMethod
from facerec.training.split import Split
from facerec.training.state import TrainState


class LabelTraining(TrainingMethod):
    """Each person, known or background, is a class with a learned direction.

    Where `torchrun` started several processes, each trains on its shard of every batch.

    Args:
        dataset: the crops.
        split: which images are used for what.
        options: of the run.
        device: that trains.

    Raises:
        DataError: the start of the backbone can't be loaded.
    """

    state: TrainState[FaceNetwork]

    def __init__(self, dataset: FaceDataset, split: Split, options: RecognizerOptions, *, device: torch.device) -> None:
        self._dataset, self._split, self._options = dataset, split, options
        self.state = start_state(split, options, device=device)
        self.softmax_temperature = 1 / options.training.scale
        self.epoch_images = epoch_batches(split, options, epoch=0).size
        network = self.state.network
        self._model = DistributedDataParallel(network) if world_size() > 1 else network

    def prepare(self) -> None:
        """There is nothing to do."""

    def is_prepared(self) -> bool:
        return False

    def train_epoch(self, epoch: int) -> EpochResult:
        options = self._options
        batches = epoch_batches(self._split, options, epoch=epoch)
        generator = torch.Generator().manual_seed((options.data.seed * 10_000 + epoch) * 1_000 + rank())
        progress = tqdm(
            own_shard(batches),
            desc=f"Epoch {epoch + 1}/{options.training.epochs}",
            unit=" steps",
            leave=False,
            disable=rank() > 0,
        )
        self._model.train()
        steps = [
            train_step(
                self._model,
                self.state,
                torch.from_numpy(self._dataset.crops[indices]),
                torch.from_numpy(self._split.labels[indices]),
                options,
                generator=generator,
            )
            for indices in progress
        ]
        return EpochResult(*mean_over_processes(*np.mean(steps, axis=0).tolist()))

    def directions(self) -> Tensor:
        return self.state.network.classifier.directions()[: len(self._split.people)].detach().cpu()


def start_state(split: Split, options: RecognizerOptions, *, device: torch.device) -> TrainState[FaceNetwork]:
    """The state before the first step. The network has a class for each known and each background person."""
    torch.manual_seed(options.data.seed)
    network = FaceNetwork(
        embedding_size=options.model.embedding_size, classes=len(split.people) + split.background_people
    )
    network.start(options.model)
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
        FitError: the loss is no longer a number.
    """
    training = options.training
    device = next(model.parameters()).device
    images, labels = augment(crops.to(device), generator=generator), labels.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        similarities = model(images)
    loss = cosine_margin_loss(similarities.float(), labels, margin=training.margin, scale=training.scale)
    return state.take_step(loss), (similarities.argmax(1) == labels).sum().item() / len(labels)
