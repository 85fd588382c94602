import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from facerec.inference.model_file import RECOGNIZER_FILE, Person, RecognizerMetadata
from facerec.inference.recognizer import FaceRecognizer
from facerec.training.dataset import FaceDataset
from facerec.training.errors import ExportError
from facerec.training.metrics import Floats
from facerec.training.recognition.embeddings import Embeddings
from facerec.training.recognition.network import FaceNetwork
from facerec.training.recognition.publish import export
from facerec.training.recognition.trained_model import TrainedModel
from tests.toy_backbone import use_toy_backbone
from tests.training.blank_dataset import blank_dataset

METADATA = RecognizerMetadata(
    version="0",
    created=datetime(2025, 1, 1, tzinfo=UTC),
    people=tuple(Person(name=name, training_images=3, test_images=1, test_recall=1) for name in ("Ann", "Bob", "Çid")),
    embedding_size=128,
    threshold=0.4,
    false_accept_rate=0.01,
    temperature=0.05,
    metrics={"top_1": 0.5},
    configuration={"seed": 0},
    licence="none",
)


@pytest.fixture(scope="module")
def dataset() -> FaceDataset:
    crops = np.random.default_rng(0).integers(0, 256, (9, 250, 250, 3), dtype=np.uint8)
    return dataclasses.replace(blank_dataset({"Ann": 9}), crops=crops)


@pytest.fixture(scope="module")
def model(dataset: FaceDataset) -> TrainedModel:
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_toy_backbone(monkeypatch)
        network = FaceNetwork(embedding_size=128, classes=7)
    network.train()
    with torch.no_grad():
        network(torch.randn(16, 3, 64, 64))  # BatchNorm statistics that are not all 0 and 1
    return TrainedModel(
        network=network.eval(),
        directions=network.classifier.directions()[:3].detach(),
        softmax_temperature=1 / 32,
        embeddings=Embeddings(network, dataset.crops),
        history=[],
    )


def probabilities(model: TrainedModel) -> Floats:
    values: Floats = torch.softmax(model.similarities(np.arange(9)) / METADATA.temperature, dim=1).numpy()
    return values


def test_the_file_answers_like_the_network_and_says_what_it_is(
    model: TrainedModel, dataset: FaceDataset, tmp_path: Path
) -> None:
    expected = probabilities(model)
    parity = export(model, METADATA, tmp_path, dataset=dataset, test=np.arange(9), probabilities=expected)
    assert parity.equal == parity.compared == 9
    assert parity.largest_difference < 1e-4
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECOGNIZER_FILE, f"{RECOGNIZER_FILE}.sha256"]

    recognizer = FaceRecognizer.load(tmp_path / RECOGNIZER_FILE, threads=1)
    assert recognizer.metadata == METADATA
    for count in (1, 2, 9):
        answer = recognizer.recognize(dataset.crops[:count])
        assert answer.probabilities == pytest.approx(expected[:count], abs=1e-4)
        assert answer.similarities.shape == (count, 3)
        assert np.linalg.norm(answer.embeddings, axis=1) == pytest.approx(np.ones(count), abs=1e-5)


def test_no_path_of_this_machine_is_in_the_file(model: TrainedModel, dataset: FaceDataset, tmp_path: Path) -> None:
    export(
        model,
        METADATA,
        tmp_path,
        dataset=dataset,
        test=np.arange(9),
        probabilities=probabilities(model),
    )
    content = (tmp_path / RECOGNIZER_FILE).read_bytes()
    for path in (Path(__file__).parents[3], Path(torch.__file__).parents[1], Path.home()):
        assert str(path).encode() not in content
    file = onnx.load(tmp_path / RECOGNIZER_FILE)
    assert [7, 128] not in [list(tensor.dims) for tensor in file.graph.initializer], (
        "the background people's classes are out"
    )
    assert [entry.key for entry in file.metadata_props] == ["facerec"]
    assert json.loads(file.metadata_props[0].value)["people"][2]["name"] == "Çid"


def test_a_file_that_answers_otherwise_is_not_put_in_place(
    model: TrainedModel, dataset: FaceDataset, tmp_path: Path
) -> None:
    (tmp_path / RECOGNIZER_FILE).write_bytes(b"the model before")
    wrong = probabilities(model).copy()
    wrong[4, 0] += 0.01
    with pytest.raises(ExportError, match="doesn't answer like the network"):
        export(model, METADATA, tmp_path, dataset=dataset, test=np.arange(9), probabilities=wrong)
    assert [path.name for path in tmp_path.iterdir()] == [RECOGNIZER_FILE]
    assert (tmp_path / RECOGNIZER_FILE).read_bytes() == b"the model before"
