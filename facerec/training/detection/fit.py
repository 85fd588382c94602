"""Train the face detector on synthetic scenes."""

import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from facerec.inference.cpus import available_cpus
from facerec.training.backbone import normalize
from facerec.training.dataset import FaceDataset
from facerec.training.detection.loss import Target, detection_loss, target_of
from facerec.training.detection.network import DetectorNetwork
from facerec.training.detection.synthetic_scenes import compose_scene
from facerec.training.device import explained_out_of_memory
from facerec.training.errors import DataError
from facerec.training.options import DetectorOptions
from facerec.training.split import Indices
from facerec.training.state import TrainState

SCENE_PIXELS = 320
"""Side of the square training scenes."""
BATCH_SIZE = 16
STEPS_PER_CHECKPOINT = 100
CAN_FORK = sys.platform == "linux"
"""Whether worker processes can share the crops. On other systems each would get a copy of them."""


@dataclass(frozen=True)
class SyntheticScenes(Dataset[tuple[Tensor, Target]]):
    """Scenes that are composed when they are needed. The number of a scene decides its contents."""

    dataset: FaceDataset
    indices: Indices
    seed: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> tuple[Tensor, Target]:
        """The picture, uint8 `[320, 320, 3]`, and the target of a scene."""
        random = np.random.default_rng([self.seed, number])
        scene = compose_scene(self.dataset, self.indices, side=SCENE_PIXELS, random=random, face_parts=True)
        return torch.from_numpy(scene.picture.copy()), target_of(scene)


@explained_out_of_memory()
def fit_detector(
    dataset: FaceDataset, indices: Indices, options: DetectorOptions, *, device: torch.device
) -> DetectorNetwork:
    """Train a detector on synthetic scenes and write a checkpoint every 100 steps.

    Args:
        dataset: crops with the face in their middle, as the crop mode `centre` gives for LFW.
        indices: the crops that scenes are made of.
        options: of the run.
        device: that trains.

    Returns:
        The network in evaluation mode.

    Raises:
        CheckpointError: an unfinished run would be overwritten, or there is none to resume.
        FitError: the loss is no longer a number, or the device's memory is too small.
        DataError: there are no crops, or their faces may not be in the middle.
    """
    if not dataset.is_lfw() and options.data.crop_mode != "centre":
        raise DataError(
            "the detector learns from pictures that have the face in their middle, upright and about 45 % of their "
            "side, as LFW's have: if yours are such, say so with --crop-mode centre."
        )
    if not len(indices):
        raise DataError(
            "the detector learns from the pictures of background people, and there are none: raise --min-images."
        )
    training = options.training
    torch.manual_seed(options.data.seed)
    network = DetectorNetwork().to(device).to(memory_format=torch.channels_last)
    state = TrainState.start(
        network,
        steps=training.steps,
        learning_rate=training.learning_rate,
        backbone_rate=1,
        weight_decay=training.weight_decay,
    )
    checkpoint = training.checkpoints / "detector" / "last.pt"
    recipe = options.recipe() | {"data_fingerprint": dataset.fingerprint}
    state.begin(checkpoint, recipe=recipe, resume=training.resume)

    scenes = SyntheticScenes(dataset, indices, options.data.seed, training.steps * BATCH_SIZE)
    batches = DataLoader(
        Subset(scenes, range(state.steps * BATCH_SIZE, len(scenes))),
        batch_size=BATCH_SIZE,
        num_workers=min(4, available_cpus()) if CAN_FORK else 0,
        multiprocessing_context="fork" if CAN_FORK else None,
    )
    network.train()
    with tqdm(batches, desc="Detector", initial=state.steps, total=training.steps, unit=" steps") as progress:
        for pictures, target in progress:
            loss = train_step(network, state, pictures.to(device), Target(*(part.to(device) for part in target)))
            progress.set_postfix(loss=f"{loss:.3f}")
            if state.steps % STEPS_PER_CHECKPOINT == 0 or state.steps == training.steps:
                state.save(checkpoint, recipe=recipe)
    return network.eval()


def train_step(network: DetectorNetwork, state: TrainState[DetectorNetwork], pictures: Tensor, target: Target) -> float:
    """Take one optimization step.

    Args:
        network: `state.network`.
        state: of the run.
        pictures: uint8 `[N, 320, 320, 3]`.
        target: of the pictures.

    Returns:
        The loss.

    Raises:
        FitError: the loss is no longer a number.
    """
    images = normalize(pictures.permute(0, 3, 1, 2).float()).contiguous(memory_format=torch.channels_last)
    return state.take_step(detection_loss(network(images), target))
