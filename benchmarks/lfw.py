"""The files of Labeled Faces in the Wild (LFW) and their split, without decoding a picture."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from facerec.training.archive import extract
from facerec.training.dataset import FaceDataset
from facerec.training.split import Indices, Split, split_dataset
from tests.shipped import LFW


class LfwFiles(NamedTuple):
    """The files of LFW."""

    files: list[Path]
    """In the order of their paths."""
    identities: Indices
    """int64 `[M]`, the person of each file."""
    split: Split
    """That of fold 0, as indices of the files."""


def find_lfw(data_dir: Path) -> LfwFiles:
    """Extract LFW's archive to a folder, unless it is there already, and split its files.

    Raises:
        SystemExit: there is no archive. The message says how to get it.
    """
    if not LFW.exists():
        raise SystemExit(f"{LFW} is missing: `uv run train.py` downloads LFW, or the variable LFW names its archive.")
    files = sorted(extract(LFW, data_dir).glob("*/*/*.jpg"))
    names, identities = np.unique([file.parent.name for file in files], return_inverse=True)
    dataset = FaceDataset(
        crops=np.empty((len(files), 0, 0, 3), np.uint8),  # the split asks for people and numbers of pictures alone
        paths=[f"{file.parent.name}/{file.name}" for file in files],
        names=names.tolist(),
        identities=identities,
        landmarks=np.full((len(files), 5, 2), np.nan, np.float32),
        skipped={},
        without_face=[],
        fingerprint="",
    )
    return LfwFiles(files, identities, split_dataset(dataset, min_images=20, seed=0, fold=0))
