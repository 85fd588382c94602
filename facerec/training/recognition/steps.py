"""One epoch of optimization steps, and a trained network's answers."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from facerec.training.dataset import FaceDataset
from facerec.training.distributed import mean_over_processes
from facerec.training.errors import TrainingError
from facerec.training.optimizer import update_average
from facerec.training.recognition.augment import augment
from facerec.training.recognition.loss import cosine_margin_loss
from facerec.training.recognition.network import FaceNetwork
from facerec.training.split import Indices


def train_one_epoch(
    model: FaceNetwork | DistributedDataParallel,
    average: FaceNetwork,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    schedule: LRScheduler,
    *,
    margin: float,
    scale: float,
    generator: torch.Generator,
) -> tuple[float, float]:
    """One optimization step per batch of crops uint8 `[N, 250, 250, 3]` and labels int64 `[N]`.

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
    for crops, classes in batches:
        try:
            images = augment(crops.to(device), generator=generator)
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
            loss.backward()
            optimizer.step()
        except torch.OutOfMemoryError as error:
            raise TrainingError(f"the device's memory is too small: lower --batch-size. ({error})") from error
        schedule.step()
        update_average(average, network, steps=schedule.last_epoch)
        correct += int((similarities.argmax(1) == labels).sum())
        total += len(labels)
    loss_mean, accuracy = mean_over_processes(float(np.mean(losses)), correct / total)
    return loss_mean, accuracy


@torch.inference_mode()
def similarities_to(people: int, network: FaceNetwork, dataset: FaceDataset, indices: Indices) -> Tensor:
    """Similarities `[N, people]` of the chosen images to the first `people` classes, on the CPU, in evaluation mode."""
    network.eval()
    device = next(network.parameters()).device
    directions = network.classifier.directions()[:people]
    parts = [
        functional.linear(network.embed_crops(torch.from_numpy(dataset.crops[chunk]).to(device)), directions)
        for chunk in np.array_split(indices, math.ceil(len(indices) / 64))
    ]
    return torch.cat(parts).cpu()
