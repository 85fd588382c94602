import json
from pathlib import Path

import numpy as np
import pytest
import torch

import train
from facerec.inference.detector import FaceDetector
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import verify_checksum
from facerec.training.dataset import FaceDataset
from facerec.training.errors import DataError, ExportError
from facerec.training.landmarks import evaluate, fit, labels, publish
from facerec.training.landmarks.labels import LabelledFaces
from facerec.training.landmarks.network import LandmarkNetwork
from facerec.training.options import LandmarkOptions, changed
from facerec.training.origin import Origin


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


def test_it_is_not_put_in_place_unless_it_finds_what_the_network_finds(
    run: LandmarkOptions,
    marked: FaceDataset,
    labelled: LabelledFaces,
    finder: FaceDetector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publish, "MAX_COORDINATE_DIFFERENCE", -1.0)
    there = {path: path.read_bytes() for path in run.publishing.output.glob("face_landmarks*")}
    with pytest.raises(ExportError, match="Nothing is changed"):
        publish.publish_landmarks(
            LandmarkNetwork().eval(),
            marked,
            run,
            detector=finder,
            training=labelled,
            validation=labelled,
            test=labelled,
            origin=Origin("", "", None),
        )
    assert there == {path: path.read_bytes() for path in run.publishing.output.glob("face_landmarks*")}
    assert not list(run.publishing.output.glob(".exporting-*"))


def test_networks_with_other_weights_do_not_find_the_same(
    run: LandmarkOptions, marked: FaceDataset, labelled: LabelledFaces
) -> None:
    predictor = LandmarkPredictor.load(run.publishing.output / "face_landmarks.onnx", threads=1)
    last = torch.load(run.training.checkpoints / "landmarks" / "last.pt", weights_only=True)
    same, other = LandmarkNetwork().eval(), LandmarkNetwork().eval()
    same.load_state_dict(last["network"])
    agreed, differed = (publish.measure_parity(predictor, network, marked, labelled) for network in (same, other))
    assert agreed.compared == agreed.equal == len(labelled.faces) > 0
    assert differed.equal < differed.compared


@pytest.mark.slow
def test_a_finished_run_is_measured_anew(run: LandmarkOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MAX_SPREAD", 9.0)
    file = run.publishing.output / "face_landmarks.onnx"
    before = LandmarkPredictor.load(file, threads=1).metadata
    train.main(changed(run, resume=True))
    assert LandmarkPredictor.load(file, threads=1).metadata.mean_points == before.mean_points


def test_without_its_detector_it_says_so(run: LandmarkOptions, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.onnx is missing.* --detector names"):
        train.main(changed(run, detector=tmp_path / "gone.onnx"))
