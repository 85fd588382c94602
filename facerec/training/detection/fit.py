"""Training of the detector: scenes composed as needed, an average of the weights, a checkpoint every hundred steps."""

import copy
import os
import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from facerec.training.backbone import load_backbone, normalize
from facerec.training.checkpoint import Stateful, refuse_to_overwrite, restore, save_checkpoint
from facerec.training.dataset import FaceDataset
from facerec.training.detection.loss import Target, detection_loss, target_of
from facerec.training.detection.network import DetectorNetwork
from facerec.training.detection.synthetic_scenes import compose_scene
from facerec.training.distributed import world_size
from facerec.training.errors import DataError, OptionError, TrainingError
from facerec.training.optimizer import adamw, update_average, warmup_and_cosine
from facerec.training.options import Options
from facerec.training.split import Indices

SIDE = 320
"""Of the scenes, in pixels."""
BATCH_SIZE = 16
FROZEN_BLOCKS = 4
"""Their weights stay as they came; the statistics of their BatchNorm follow the scenes."""
STEPS_BETWEEN_CHECKPOINTS = 100
FORKS = sys.platform == "linux"
"""Whether workers can share the crops; elsewhere each would get a copy of them."""


@dataclass(frozen=True)
class SyntheticScenes(Dataset[tuple[Tensor, Target]]):
    """Endlessly many synthetic scenes; the number of each decides what is in it."""

    faces: FaceDataset
    images: Indices
    seed: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> tuple[Tensor, Target]:
        """The picture, uint8 `[320, 320, 3]`, and the target of synthetic scene `number`."""
        random = np.random.default_rng([self.seed, number])
        scene = compose_scene(self.faces, self.images, side=SIDE, random=random, pieces=True)
        return torch.from_numpy(scene.picture.copy()), target_of(scene)


def fit_detector(dataset: FaceDataset, indices: Indices, options: Options, *, device: torch.device) -> DetectorNetwork:
    """Train a detector on synthetic scenes of `images`; the run's state goes to `options.checkpoints`/detector.

    Raises:
        CheckpointError: an unfinished run is in the way, or there is none to resume.
        TrainingError: the loss is no longer a number.
        DataError: there are no images, they may not be cropped like LFW's, or the backbone's weights can't be loaded.
        OptionError: started by `torchrun`.
    """
    if world_size() > 1:
        raise OptionError("--detector trains in one process: start it without torchrun.")
    if not dataset.is_lfw() and options.crop_mode != "centre":
        raise DataError(
            "the detector learns from crops that have the face in their middle, upright and about 45 % of their "
            "side, as LFW's have: if your pictures are such, say so with --crop-mode centre."
        )
    if not len(indices):
        raise DataError(
            "the detector learns from people who are neither known nor strangers, here none: raise --min-images."
        )
    torch.manual_seed(options.seed)
    network = DetectorNetwork()
    load_backbone(network, options.weights)
    network.features[:FROZEN_BLOCKS].requires_grad_(False)
    network.to(device).to(memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    optimizer = adamw(network, options, backbone_rate=1)
    schedule = LambdaLR(optimizer, warmup_and_cosine(options.detector_steps))
    parts: dict[str, Stateful] = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}

    last = options.checkpoints / "detector" / "last.pt"
    recipe = options.detector_recipe() | {"data": dataset.fingerprint}
    if options.resume:
        restore(parts, last, recipe=recipe)
    else:
        refuse_to_overwrite(
            last, finished=lambda state: state["schedule"]["last_epoch"] == state["recipe"]["detector_steps"]
        )
        last.unlink(missing_ok=True)

    start = schedule.last_epoch
    scenes = SyntheticScenes(dataset, indices, options.seed, options.detector_steps * BATCH_SIZE)
    batches = DataLoader(
        Subset(scenes, range(start * BATCH_SIZE, len(scenes))),
        batch_size=BATCH_SIZE,
        num_workers=min(4, os.cpu_count() or 1) if FORKS else 0,
        multiprocessing_context="fork" if FORKS else None,
    )
    network.train()
    with tqdm(batches, desc="FaceDetector", initial=start, total=options.detector_steps, unit=" steps") as bar:
        for pictures, target in bar:
            loss = _step(network, pictures.to(device), Target(*(part.to(device) for part in target)))
            if not np.isfinite(loss.item()):
                raise TrainingError(
                    f"the loss is {loss.item()} at step {schedule.last_epoch + 1}. The checkpoint of at most "
                    f"{STEPS_BETWEEN_CHECKPOINTS} steps before is unchanged; start anew with a lower --learning-rate."
                )
            optimizer.step()
            schedule.step()
            update_average(average, network, steps=schedule.last_epoch)
            bar.set_postfix(loss=f"{loss.item():.3f}")
            if schedule.last_epoch % STEPS_BETWEEN_CHECKPOINTS == 0 or schedule.last_epoch == options.detector_steps:
                save_checkpoint({"recipe": recipe, **{name: part.state_dict() for name, part in parts.items()}}, last)
    return average.eval()


def _step(network: DetectorNetwork, pictures: Tensor, target: Target) -> Tensor:
    """The loss of one batch, its gradients left in the network."""
    network.zero_grad()
    images = normalize(pictures.permute(0, 3, 1, 2).float()).contiguous(memory_format=torch.channels_last)
    loss = detection_loss(network(images), target)
    loss.backward()
    return loss.detach()
