import dataclasses

import numpy as np
import pytest
import torch

from facerec.training.dataset import FaceDataset
from facerec.training.metrics import expected_calibration_error
from facerec.training.options import RecognizerOptions, changed
from facerec.training.recognition import evaluate as module
from facerec.training.recognition.calibrate import fit_temperature
from facerec.training.recognition.evaluate import evaluate
from facerec.training.recognition.network import FaceNetwork
from facerec.training.split import Indices, Split

# Six images: two of Ann, two of Bob, two unknown. Their similarities to Ann and Bob:
SIMILARITIES = torch.tensor([[0.8, 0.1], [0.7, 0.2], [0.3, 0.9], [0.4, 0.3], [0.1, 0.5], [0.45, 0.0]])
# The same where they are cropped by their centres, which are white here:
CENTRED = torch.tensor([[0.8, 0.1], [0.7, 0.2], [0.3, 0.9], [0.3, 0.4], [0.1, 0.5], [0.45, 0.0]])


@pytest.fixture
def dataset(monkeypatch: pytest.MonkeyPatch) -> FaceDataset:
    def known_answers(people: int, _: FaceNetwork, dataset: FaceDataset, indices: Indices) -> torch.Tensor:
        return (CENTRED if dataset.crops.any() else SIMILARITIES)[torch.from_numpy(indices), :people]

    monkeypatch.setattr(module, "similarities_to_people", known_answers)
    paths = ["Ann/1", "Ann/2", "Bob/1", "Bob/2", "Cid/1", "Dee/1"]
    return FaceDataset(
        np.zeros((6, 250, 250, 3), np.uint8), paths, ["Ann", "Bob", "Cid", "Dee"], np.arange(6), {}, [], ""
    )


def split(*, chosen: list[int], test: list[int]) -> Split:
    return Split(
        people=["Ann", "Bob"],
        background_people=0,
        labels=np.array([0, 0, 1, 1, -1, -1]),
        train=np.array([0, 2]),
        validation=np.array([0, 2]),
        test=np.array([1, 3]),
        background=np.array([], np.int64),
        unknown_source="someone",
        unknown_validation=np.array(chosen),
        unknown_test=np.array(test),
    )


def test_metrics_are_those_of_the_test_images(dataset: FaceDataset) -> None:
    network = FaceNetwork(embedding_size=128, classes=2)
    centred = dataclasses.replace(dataset, crops=dataset.crops + 255)
    evaluation = evaluate(network, dataset, centred, split(chosen=[4], test=[5]), RecognizerOptions())
    assert evaluation.threshold == pytest.approx(0.5)
    assert evaluation.validation_false_accept_rate == 0
    assert (evaluation.metrics.top_1.count, evaluation.metrics.top_1.total) == (1, 2)
    assert evaluation.metrics.top_1_centred.count == 2
    assert evaluation.metrics.macro_recall == 0.5
    assert evaluation.metrics.accepted_known.count == 1
    assert evaluation.metrics.accepted_unknown.count == 0
    assert evaluation.metrics.dir_at_far_1.count == 1
    assert evaluation.mistakes == [{"picture": "Bob/2", "answer": "Ann"}]
    assert [(person.name, person.test_recall) for person in evaluation.people] == [("Ann", 1), ("Bob", 0)]


def test_probabilities_are_calibrated_on_the_validation_images(dataset: FaceDataset) -> None:
    network = FaceNetwork(embedding_size=128, classes=2)
    mistaken = dataclasses.replace(split(chosen=[4], test=[5]), validation=np.array([0, 2, 3]))
    evaluation = evaluate(network, dataset, dataset, mistaken, changed(RecognizerOptions(), scale=32))
    temperature = fit_temperature(SIMILARITIES[[0, 2, 3]], torch.tensor([0, 1, 1]), min_temperature=1 / 32)
    assert evaluation.temperature == pytest.approx(temperature)
    assert temperature > 1.5 / 32
    for ece, scale in ((evaluation.metrics.ece, 1 / temperature), (evaluation.metrics.ece_uncalibrated, 32)):
        probabilities = torch.softmax(scale * SIMILARITIES[[1, 3]], dim=1).numpy()
        assert ece == pytest.approx(expected_calibration_error(probabilities, np.array([0, 1])), abs=1e-5)


def test_known_people_in_place_of_unknown_ones_are_not_compared_with_themselves(dataset: FaceDataset) -> None:
    network = FaceNetwork(embedding_size=128, classes=2)
    evaluation = evaluate(network, dataset, dataset, split(chosen=[0, 2], test=[1, 3]), RecognizerOptions())
    assert evaluation.threshold == pytest.approx(0.3), "Bob's first image is the nearest unknown one to Ann"
    assert evaluation.unknown.max(axis=1).tolist() == pytest.approx([0.2, 0.4])
    assert evaluation.metrics.accepted_unknown.count == 1
