"""Drawn people in whose middle the toy detector finds a face, and labels of them."""

from pathlib import Path

import pytest
from PIL import Image

from facerec.inference.detector import FaceDetector
from facerec.training.dataset import FaceDataset, load_dataset
from facerec.training.landmarks.labels import LabelledFaces, label_faces, split_background
from facerec.training.options import LandmarkOptions, changed
from facerec.training.split import Split, split_dataset
from tests.drawn_people import draw_person

COUNTS = [5, 5, 3, 2] + [1] * 20
"""Pictures of each person: 2 known, 2 background and 20 unknown people."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landmarks") / "people"
    for person, count in enumerate(COUNTS):
        home = folder / f"Person_{person:02}"
        home.mkdir(parents=True)
        for number in range(count):
            picture = draw_person(person, number)
            picture.paste("magenta", (96, 96, 128, 128))
            picture.save(home / f"{number}.png")
    # Pictures without a face, one of each part of the split.
    for grey, name in enumerate(("Person_00/4", "Person_02/2", "Person_03/1", "Person_04/0")):
        Image.new("RGB", (250, 250), (grey, grey, grey)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def landmark_options(folder: Path, detector: Path) -> LandmarkOptions:
    """A training of two steps."""
    return changed(
        LandmarkOptions(),
        data=folder,
        background="none",
        data_dir=folder.parent / "data",
        detector=detector,
        min_images=5,
        steps=2,
        output=folder.parent / "model",
        checkpoints=folder.parent / "checkpoints",
    )


@pytest.fixture(scope="session")
def marked(landmark_options: LandmarkOptions) -> FaceDataset:
    return load_dataset(landmark_options.data.data, data_dir=landmark_options.data.data_dir)


@pytest.fixture(scope="session")
def marked_split(marked: FaceDataset) -> Split:
    return split_dataset(marked, min_images=5, seed=0, fold=0)


@pytest.fixture(scope="session")
def labelled(marked: FaceDataset, marked_split: Split, finder: FaceDetector) -> LabelledFaces:
    training, _ = split_background(marked, marked_split)
    return label_faces(marked, training, finder, "Training faces")
