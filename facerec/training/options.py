"""The options of `train.py`, with their defaults; the command line is derived from this class."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from facerec.inference.cropping import CropMode
from facerec.training.errors import OptionError

NOT_IN_RECIPE = {
    *("data", "data_dir", "output", "images", "checkpoints", "tuning_storage"),  # where things are
    *("folds", "explore", "tune", "train_detector", "detector_steps", "resume"),  # what to do
}

AFTER_TRAINING = {"false_accept_rate", "weights_licence"}
"""Of the recipe, what no network depends on."""

IN_DETECTOR_RECIPE = ("min_images", "seed", "weights", "learning_rate", "weight_decay", "detector_steps")

LIMITS: dict[str, tuple[float, float]] = {
    "min_images": (5, math.inf),  # fewer can't be split into train, validation and test in every fold
    "seed": (0, 2**31),
    "unfrozen_blocks": (0, 17),
    "epochs": (1, 10_000),
    "min_epoch_images": (1, math.inf),
    "batch_size": (2, math.inf),
    "learning_rate": (0, math.inf),
    "backbone_rate": (0, math.inf),
    "weight_decay": (0, math.inf),
    "margin": (0, 1),
    "scale": (1, math.inf),
    "balance": (0, 1),
    "false_accept_rate": (0, 1),
    "detector_steps": (1, math.inf),
}


FOLDERS = ("data_dir", "output", "images", "checkpoints")
"""They are made where there is none."""


@dataclass(frozen=True)
class Options:
    """Train, evaluate and export a network that recognizes known people."""

    # --- data ---
    data: Path | None = None
    """Folder of people (NAME/*.jpg|png|webp), each the most prominent one of their pictures, or a tar archive of such a
    folder; without it, LFW is downloaded once."""
    data_dir: Path = Path("data")
    """Where downloads, extracted archives and crops are kept."""
    crop_mode: CropMode = "detect"
    """What the network is shown of a picture: the face that the detector finds in it, as the service does, or the
    centre, where the face should take about 45 % of the shorter side, as in LFW."""
    detector: Path = Path("model/face_detector.onnx")
    """The face detector's file, for the crop mode `detect`."""
    min_images: int = 20
    """People with this many pictures or more are known, at least 5."""
    folds: Literal[1, 2, 3, 4, 5] = 1
    """How many networks to train, each tested on another fifth of every person's images; the first is exported."""
    seed: int = 0
    """Source of the split and of all randomness in training."""

    # --- network ---
    weights: Literal["imagenet", "none"] | Path = "imagenet"
    """Start of the backbone: imagenet (torchvision's, downloaded), none (random), or a state dict's path."""
    weights_licence: str = "unknown"
    """Licence of the file that --weights names, for the model card: the trained model carries it."""
    embedding_size: Literal[128, 256, 512] = 256
    """Length of the embeddings."""
    unfrozen_blocks: int = 13
    """How many of the backbone's 17 blocks are trained, counted from its end; 0 trains the head alone. The first four,
    which find edges and spots, cost a third of the time and gain nothing."""

    # --- training ---
    epochs: int = 12
    """An epoch draws as many known images as there are to train on, and as many of other people."""
    min_epoch_images: int = 2000
    """How many known images an epoch draws where there are fewer."""
    batch_size: int = 64
    """Images per step, half of them of known people."""
    learning_rate: float = 1e-3
    """AdamW's, after a warm-up and before a cosine decay to zero."""
    backbone_rate: float = 2.0
    """The backbone's learning rate, as a multiple of that of the head."""
    weight_decay: float = 0.05
    """AdamW's, on matrices and convolutions only."""
    margin: float = 0.35
    """CosFace's margin, in cosine."""
    scale: float = 32.0
    """CosFace's scale: inverse temperature of the training softmax."""
    balance: float = 0.5
    """How known people are drawn: 0 each image equally often, 1 each person equally often."""

    # --- open set ---
    false_accept_rate: float = 0.01
    """Share of strangers that the threshold may take for a known person."""

    # --- face detector ---
    train_detector: bool = False
    """Train the network that finds the faces in a photo, instead of the one that names them."""
    detector_steps: int = 3000
    """Steps of 16 scenes."""

    # --- run ---
    output: Path = Path("model")
    """Where the ONNX model, its checksum, the report and the model card go, or the table of the search."""
    images: Path = Path("images")
    """Where the plots go."""
    checkpoints: Path = Path("checkpoints")
    """Where a run keeps its state to go on from: fold-N/, detector/, and tuning.db of the search."""
    explore: bool = False
    """Describe the data, draw its plots and stop."""
    tune: bool = False
    """Search the embedding size, the unfrozen blocks and the learning rate by validation accuracy, and stop."""
    tuning_storage: str | None = None
    """Database of the search, an SQLAlchemy URL that several machines may share; by default CHECKPOINTS/tuning.db."""
    resume: bool = False
    """Go on with a run that was stopped, from its last checkpoint: one after each epoch, or each 100 steps of the
    detector."""

    def __post_init__(self) -> None:
        """Check the numbers, and that folders can be made where they are wanted.

        Raises:
            OptionError: a number is out of its limits, or a file is in a folder's place.
        """
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise OptionError(f"--{name.replace('_', '-')} is {value} and must be between {low} and {high}.")
        for name in FOLDERS:
            folder: Path = getattr(self, name)
            there = next(path for path in (folder, *folder.parents) if path.exists())
            if not there.is_dir():
                raise OptionError(f"--{name.replace('_', '-')} is {folder}, but {there} is a file: name a folder.")

    def recipe(self) -> dict[str, JsonValue]:
        """The options that decide what the exported model becomes, as plain values."""
        return {name: value for name, value in self._plain().items() if name not in NOT_IN_RECIPE}

    def training_recipe(self) -> dict[str, JsonValue]:
        """Those of them that training reads."""
        return {name: value for name, value in self.recipe().items() if name not in AFTER_TRAINING}

    def detector_recipe(self) -> dict[str, JsonValue]:
        """The options that decide what the face detector becomes, as plain values."""
        return {name: value for name, value in self._plain().items() if name in IN_DETECTOR_RECIPE}

    def _plain(self) -> dict[str, JsonValue]:
        return {name: value.name if isinstance(value, Path) else value for name, value in asdict(self).items()}
