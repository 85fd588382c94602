"""Train the landmark network on dlib's points."""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from facerec.inference.landmark_predictor import crop_for_landmarks
from facerec.training.dataset import FaceDataset
from facerec.training.device import explained_out_of_memory
from facerec.training.errors import DataError
from facerec.training.landmarks.augment import SOURCE_ENLARGEMENT, SOURCE_SIZE, augment
from facerec.training.landmarks.labels import LabelledFaces
from facerec.training.landmarks.network import LandmarkNetwork
from facerec.training.options import LandmarkOptions
from facerec.training.state import TrainState

BATCH_SIZE = 64
STEPS_PER_CHECKPOINT = 100


@explained_out_of_memory()
def fit_landmarks(
    dataset: FaceDataset, faces: LabelledFaces, options: LandmarkOptions, *, device: torch.device
) -> LandmarkNetwork:
    """Train the landmark network on labelled faces and write a checkpoint every 100 steps.

    Args:
        dataset: pictures in the crop mode `centre`.
        faces: faces of these pictures.
        options: of the run.
        device: that trains.

    Returns:
        The network in evaluation mode.

    Raises:
        CheckpointError: an unfinished run would be overwritten, or there is none to resume.
        FitError: the loss is no longer a number, or the device's memory is too small.
        DataError: there are no faces.
    """
    if not faces.faces:
        raise DataError(
            "dlib is sure of its points in none of the training pictures: add pictures of background people, in which "
            "faces are upright and seen from the front."
        )
    training = options.training
    torch.manual_seed(options.data.seed)
    network = LandmarkNetwork().to(device).to(memory_format=torch.channels_last)
    state = TrainState.start(
        network,
        steps=training.steps,
        learning_rate=training.learning_rate,
        backbone_rate=1,
        weight_decay=training.weight_decay,
    )
    checkpoint = training.checkpoints / "landmarks" / "last.pt"
    labels = dataset.fingerprint.encode() + np.array(faces.faces).tobytes() + faces.points.tobytes()
    recipe = options.recipe() | {"data_fingerprint": hashlib.sha256(labels).hexdigest()}
    state.begin(checkpoint, recipe=recipe, resume=training.resume)

    sources = _source_crops(dataset, faces)
    network.train()
    with tqdm(desc="Landmarks", initial=state.steps, total=training.steps, unit=" steps") as progress:
        while state.steps < training.steps:
            random = np.random.default_rng([options.data.seed, state.steps])
            chosen = random.integers(len(sources), size=BATCH_SIZE)
            images, points = augment(sources[chosen], faces.points[chosen], random=random)
            loss = train_step(network, state, images.to(device), points.to(device))
            progress.update()
            progress.set_postfix(loss=f"{loss:.4f}")
            if state.steps % STEPS_PER_CHECKPOINT == 0 or state.steps == training.steps:
                state.save(checkpoint, recipe=recipe)
    return network.eval()


def train_step(network: LandmarkNetwork, state: TrainState[LandmarkNetwork], images: Tensor, points: Tensor) -> float:
    """Take one optimization step.

    Args:
        network: `state.network`.
        state: of the run.
        images: float32 `[N, 3, 56, 56]`, 0 to 255.
        points: float32 `[N, 5, 2]`, what the network should find.

    Returns:
        The loss: the mean difference of a coordinate. It weighs large errors, which are mostly wrong labels, less than
        the squared difference.

    Raises:
        FitError: the loss is no longer a number.
    """
    return state.take_step(functional.l1_loss(network(images), points))


def _source_crops(dataset: FaceDataset, faces: LabelledFaces) -> NDArray[np.uint8]:
    """The faces with what surrounds them, as `augment` takes them: uint8 `[N, 154, 154, 3]`."""
    return np.stack([
        crop_for_landmarks(
            Image.fromarray(dataset.crops[index]), face, size=SOURCE_SIZE, enlargement=SOURCE_ENLARGEMENT
        )
        for index, face in zip(faces.indices.tolist(), faces.faces, strict=True)
    ])  # fmt: skip
