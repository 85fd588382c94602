"""What tests of training share: a small training, the drawn people as it sees them, and LFW's crops."""

from pathlib import Path

import pytest

from facerec.training.croppers import load_cropper
from facerec.training.dataset import FaceDataset, load_dataset
from facerec.training.options import RecognizerDataOptions, RecognizerModelOptions, RecognizerOptions, changed
from facerec.training.split import Split, split_dataset
from tests.shipped import DETECTOR, LANDMARKS, LFW, ROOT
from tests.toy_backbone import use_toy_backbone


@pytest.fixture(scope="session")
def small_options(drawn_people: Path, landmarks: Path) -> RecognizerOptions:
    """A training of seconds on the drawn people; nothing but its cache is written."""
    return changed(
        RecognizerOptions(),
        data=drawn_people,
        background="none",
        data_dir=drawn_people.parent / "data",
        crop_mode="centre",
        landmarks=landmarks,
        min_images=5,
        weights="none",
        teacher="none",
        embedding_size=128,
        epochs=3,
        min_epoch_images=1,
        batch_size=12,
    )


@pytest.fixture
def toy_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the networks have a toy backbone, where accuracy is not the point."""
    use_toy_backbone(monkeypatch)


@pytest.fixture(scope="session")
def dataset(small_options: RecognizerOptions) -> FaceDataset:
    return load_dataset(small_options.data.data, data_dir=small_options.data.data_dir)


@pytest.fixture(scope="session")
def split(dataset: FaceDataset) -> Split:
    return split_dataset(dataset, min_images=5, seed=0, fold=0)


@pytest.fixture(scope="session")
def cropped_lfw() -> FaceDataset:
    """The same, cropped by the shipped detector and landmark predictor."""
    options = RecognizerDataOptions(detector=DETECTOR, landmarks=LANDMARKS)
    return load_dataset(LFW, data_dir=ROOT / "data", cropper=load_cropper(options, RecognizerModelOptions()))
