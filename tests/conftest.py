"""What all tests share, made or loaded once: toy models, drawn people, and real ones where they are at hand."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from facerec.inference.detector import FaceDetector
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.people.location import VARIABLE
from facerec.training.dataset import FaceDataset, load_dataset
from facerec.training.split import Split, split_dataset
from tests.drawn_people import draw_people
from tests.people.postgresql_server import PostgresqlServer, postgresql_binaries
from tests.shipped import LFW, RECOGNIZER, ROOT
from tests.toy_model import write_aligned_toy_model, write_toy_detector, write_toy_landmark_predictor, write_toy_model

collect_ignore = [] if find_spec("torch") else ["training"]
"""`uv run --no-group train pytest` runs the tests that need no package of training."""


@pytest.fixture(scope="session", autouse=True)
def no_gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests leave the gallery alone that whoever runs them may have."""
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv(VARIABLE, str(tmp_path_factory.mktemp("nobody") / "people.sqlite"))
        yield


@pytest.fixture(scope="session")
def drawn_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn people: 4 known with 6 to 8 pictures, 2 background, 20 unknown."""
    return draw_people(tmp_path_factory.mktemp("drawn") / "people", [8, 6, 6, 7, 3, 2] + [1] * 20)


@pytest.fixture(scope="session")
def lfw() -> FaceDataset:
    """Labeled Faces in the Wild, each picture as it is."""
    return load_dataset(LFW, data_dir=ROOT / "data")


@pytest.fixture(scope="session")
def lfw_split(lfw: FaceDataset) -> Split:
    """The split that its images had for the shipped model."""
    options = json.loads(RECOGNIZER.with_suffix(".json").read_text())["metadata"]["configuration"]
    return split_dataset(lfw, min_images=options["min_images"], seed=options["seed"], fold=0)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy model's file."""
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    write_toy_model(path)
    return path


@pytest.fixture(scope="session")
def aligned_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the toy model of aligned faces."""
    path = tmp_path_factory.mktemp("aligned_model") / "toy_aligned.onnx"
    write_aligned_toy_model(path)
    return path


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy detector's file."""
    path = tmp_path_factory.mktemp("detector") / "toy_detector.onnx"
    write_toy_detector(path)
    return path


@pytest.fixture(scope="session")
def finder(detector: Path) -> FaceDetector:
    """The toy detector, loaded."""
    return FaceDetector.load(detector, threads=1)


@pytest.fixture(scope="session")
def landmarks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy landmark predictor's file."""
    path = tmp_path_factory.mktemp("landmarks") / "toy_landmarks.onnx"
    write_toy_landmark_predictor(path)
    return path


@pytest.fixture(scope="session")
def predictor(landmarks: Path) -> LandmarkPredictor:
    """The toy landmark predictor, loaded."""
    return LandmarkPredictor.load(landmarks, threads=1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running server."""
    binaries = postgresql_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    server = PostgresqlServer(binaries)
    yield server
    server.remove()


@pytest.fixture
def database_url(postgresql: PostgresqlServer) -> Iterator[str]:
    """The location of an empty PostgreSQL database."""
    yield postgresql.url("postgres")
    postgresql.execute("DROP TABLE IF EXISTS samples, people, gallery")
