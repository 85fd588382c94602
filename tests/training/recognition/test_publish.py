import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from facerec.inference.model_file import RECOGNIZER_FILE, Person, RecognizerMetadata
from facerec.inference.recognizer import Recognizer
from facerec.training.dataset import FaceDataset
from facerec.training.errors import ExportError
from facerec.training.recognition.network import FaceNetwork, RecognizerGraph
from facerec.training.recognition.publish import export
from tests.toy_backbone import use_toy_backbone

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
    return FaceDataset(crops, [f"Ann/{i}" for i in range(9)], ["Ann"], np.zeros(9, np.int64), {}, [], "")


@pytest.fixture(scope="module")
def network() -> FaceNetwork:
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_toy_backbone(monkeypatch)
        network = FaceNetwork(embedding_size=128, classes=7)
    network.train()
    with torch.no_grad():
        network(torch.randn(16, 3, 64, 64))  # BatchNorm statistics that are not all 0 and 1
    return network.eval()


@torch.inference_mode()
def probabilities(network: FaceNetwork, dataset: FaceDataset) -> Tensor:
    answer: tuple[Tensor, Tensor, Tensor] = RecognizerGraph(network, people_count=3, temperature=0.05)(
        torch.from_numpy(dataset.crops)
    )
    return answer[0]


def test_the_file_answers_like_the_network_and_says_what_it_is(
    network: FaceNetwork, dataset: FaceDataset, tmp_path: Path
) -> None:
    expected = probabilities(network, dataset).numpy()
    parity = export(network, METADATA, tmp_path, dataset=dataset, test=np.arange(9), probabilities=expected)
    assert parity.equal == parity.compared == 9
    assert parity.largest_difference < 1e-4
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECOGNIZER_FILE, f"{RECOGNIZER_FILE}.sha256"]

    recognizer = Recognizer.load(tmp_path / RECOGNIZER_FILE, threads=1)
    assert recognizer.metadata == METADATA
    for count in (1, 2, 9):
        answer = recognizer.recognize(dataset.crops[:count])
        assert answer.probabilities == pytest.approx(expected[:count], abs=1e-4)
        assert answer.similarities.shape == (count, 3)
        assert np.linalg.norm(answer.embeddings, axis=1) == pytest.approx(np.ones(count), abs=1e-5)


def test_no_path_of_this_machine_is_in_the_file(network: FaceNetwork, dataset: FaceDataset, tmp_path: Path) -> None:
    export(
        network,
        METADATA,
        tmp_path,
        dataset=dataset,
        test=np.arange(9),
        probabilities=probabilities(network, dataset).numpy(),
    )
    content = (tmp_path / RECOGNIZER_FILE).read_bytes()
    for path in (Path(__file__).parents[3], Path(torch.__file__).parents[1], Path.home()):
        assert str(path).encode() not in content
    model = onnx.load(tmp_path / RECOGNIZER_FILE)
    assert [7, 128] not in [list(tensor.dims) for tensor in model.graph.initializer], (
        "the background people's classes are out"
    )
    assert [entry.key for entry in model.metadata_props] == ["facerec"]
    assert json.loads(model.metadata_props[0].value)["people"][2]["name"] == "Çid"


def test_a_file_that_answers_otherwise_is_not_put_in_place(
    network: FaceNetwork, dataset: FaceDataset, tmp_path: Path
) -> None:
    (tmp_path / RECOGNIZER_FILE).write_bytes(b"the model before")
    wrong = probabilities(network, dataset).numpy().copy()
    wrong[4, 0] += 0.01
    with pytest.raises(ExportError, match="doesn't answer like the network"):
        export(network, METADATA, tmp_path, dataset=dataset, test=np.arange(9), probabilities=wrong)
    assert [path.name for path in tmp_path.iterdir()] == [RECOGNIZER_FILE]
    assert (tmp_path / RECOGNIZER_FILE).read_bytes() == b"the model before"
