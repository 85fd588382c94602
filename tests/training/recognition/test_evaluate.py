import dataclasses

import numpy as np
import pytest
import torch

from facerec.inference.face_cropper import FaceCropper
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.training.dataset import FaceDataset
from facerec.training.metrics import expected_calibration_error
from facerec.training.recognition.calibrate import fit_temperature
from facerec.training.recognition.evaluate import Evaluation, evaluate
from facerec.training.split import Split
from tests.training.blank_dataset import blank_dataset
from tests.training.recognition.table_network import complete, table_crops, table_model

# Six images: two of Ann, two of Bob, two unknown. Their similarities to Ann and Bob:
SIMILARITIES = [[0.8, 0.1], [0.7, 0.2], [0.3, 0.9], [0.4, 0.3], [0.1, 0.5], [0.45, 0.0]]
# The same where they are cropped by their centres:
CENTRED = [[0.8, 0.1], [0.7, 0.2], [0.3, 0.9], [0.3, 0.4], [0.1, 0.5], [0.45, 0.0]]


@pytest.fixture
def cropper(predictor: LandmarkPredictor) -> FaceCropper:
    return FaceCropper(predictor, alignment=None)


@pytest.fixture
def dataset() -> FaceDataset:
    images = list(range(6))
    return dataclasses.replace(
        blank_dataset({"Ann": 2, "Bob": 2, "Cid": 1, "Dee": 1}), crops=table_crops(images, images, side=250)
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
        new_people=[],
        unknown_source="someone",
        unknown_validation=np.array(chosen),
        unknown_test=np.array(test),
    )


def evaluated(dataset: FaceDataset, split: Split, cropper: FaceCropper) -> Evaluation:
    table = complete(SIMILARITIES + CENTRED)
    model = table_model(table, dataset.crops, torch.eye(2, 3), softmax_temperature=1 / 32)
    centred = dataclasses.replace(dataset, crops=dataset.crops + np.uint8(6))
    return evaluate(model, dataset, centred, split, cropper=cropper, false_accept_rate=0.01)


def test_metrics_are_those_of_the_test_images(dataset: FaceDataset, cropper: FaceCropper) -> None:
    evaluation = evaluated(dataset, split(chosen=[4], test=[5]), cropper)
    assert evaluation.threshold == pytest.approx(0.5)
    assert evaluation.validation_false_accept_rate == 0
    assert (evaluation.metrics.top_1.count, evaluation.metrics.top_1.total) == (1, 2)
    assert evaluation.metrics.top_1_centred.count == 2
    assert evaluation.metrics.macro_recall == 0.5
    assert evaluation.metrics.accepted_known.count == 1
    assert evaluation.metrics.accepted_unknown.count == 0
    assert evaluation.metrics.dir_at_far_1.count == 1
    assert evaluation.metrics.new_people == []
    assert evaluation.mistakes == [{"picture": "Bob/3.jpg", "answer": "Ann"}]
    assert evaluation.tested.tolist() == [1, 3]
    assert evaluation.accepted.tolist() == [True, False]
    assert [(person.name, person.test_recall) for person in evaluation.people] == [("Ann", 1), ("Bob", 0)]


def test_probabilities_are_calibrated_on_the_validation_images(dataset: FaceDataset, cropper: FaceCropper) -> None:
    mistaken = dataclasses.replace(split(chosen=[4], test=[5]), validation=np.array([0, 2, 3]))
    evaluation = evaluated(dataset, mistaken, cropper)
    similarities = torch.tensor(SIMILARITIES)
    temperature = fit_temperature(similarities[[0, 2, 3]], torch.tensor([0, 1, 1]), min_temperature=1 / 32)
    assert evaluation.temperature == pytest.approx(temperature)
    assert temperature > 1.5 / 32
    for ece, scale in ((evaluation.metrics.ece, 1 / temperature), (evaluation.metrics.ece_uncalibrated, 32)):
        probabilities = torch.softmax(scale * similarities[[1, 3]], dim=1).numpy()
        assert ece == pytest.approx(expected_calibration_error(probabilities, np.array([0, 1])), abs=1e-5)
