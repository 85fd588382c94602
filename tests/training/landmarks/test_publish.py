import json

import numpy as np
import pytest

import train
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import verify_checksum
from facerec.training.dataset import FaceDataset
from facerec.training.landmarks import evaluate, fit, labels
from facerec.training.options import LandmarkOptions


@pytest.fixture(scope="module")
def run(landmark_options: LandmarkOptions) -> LandmarkOptions:
    """The options of a landmark predictor, once it is trained."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(fit, "BATCH_SIZE", 4)
        monkeypatch.setattr(labels, "MAX_SPREAD", 9.0)  # dlib is sure of no drawn face
        monkeypatch.setattr(evaluate, "TIMED_RUNS", 5)
        train.main(landmark_options)
    return landmark_options


def test_train_py_leaves_a_predictor_with_report_and_card(run: LandmarkOptions, marked: FaceDataset) -> None:
    file = run.publishing.output / "face_landmarks.onnx"
    predictor = LandmarkPredictor.load(file, threads=1)
    report = json.loads(file.with_suffix(".json").read_text())
    assert report["metadata"] == predictor.metadata.model_dump(mode="json")
    assert report["metadata"]["metrics"].keys() > {"test_mean", "test_percentile_95", "test_implausible"}
    assert report["command"] in file.with_suffix(".md").read_text()
    test = report["labels"]["test"]
    assert test["without_face"] >= 1
    assert test["faces"] == report["metrics"]["test"]["implausible"]["total"]
    assert predictor.run(np.zeros((3, 56, 56, 3), np.uint8)).shape == (3, 5, 2)
    assert verify_checksum(file) == predictor.checksum
    assert not list(file.parent.glob(".exporting-*"))
