import json
from pathlib import Path

import numpy as np
import pytest
import torch

import train
from facerec.inference.detector import FaceDetector
from facerec.inference.model_file import verify_checksum
from facerec.training.dataset import FaceDataset
from facerec.training.detection import evaluate, fit, matching, network, publish
from facerec.training.detection.network import DetectorNetwork
from facerec.training.errors import ExportError, FitError
from facerec.training.options import DetectorOptions, RecognizerOptions, changed
from facerec.training.origin import Origin
from facerec.training.split import Split
from tests.options import detector_options


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training and measuring take seconds: what they find does not matter."""
    monkeypatch.setattr(fit, "SCENE_PIXELS", 64)
    monkeypatch.setattr(fit, "BATCH_SIZE", 2)
    monkeypatch.setattr(evaluate, "SCENE_COUNT", 9)
    monkeypatch.setattr(evaluate, "SINGLE_FACE_SCENE_COUNT", 1)
    monkeypatch.setattr(
        network, "SCORE_BIAS_INIT", 0.0
    )  # two steps teach nothing: it then finds faces everywhere, all alike,
    monkeypatch.setattr(matching, "MATCH_MIN_IOU", 0.1)  # and hits half of the true ones so
    monkeypatch.setattr(
        publish, "SECOND_PASS", publish.SECOND_PASS.model_copy(update={"max_score": 0.0})
    )  # takes minutes
    monkeypatch.setattr(evaluate, "THRESHOLD_RECALL", 0.2)
    monkeypatch.setattr(publish, "MAX_UNPAIRED_FRACTION", 1.0)  # which of two that overlap stays is up to rounding


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture(scope="module")
def options(small_options: RecognizerOptions, tmp_path_factory: pytest.TempPathFactory) -> DetectorOptions:
    """The options of a detector, once it is trained."""
    folder = tmp_path_factory.mktemp("run")
    options = detector_options(small_options, steps=2, output=folder / "model", checkpoints=folder / "checkpoints")
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_small(monkeypatch)
        train.main(options)
    return options


def test_networks_with_other_weights_do_not_find_the_same(options: DetectorOptions, tmp_path: Path) -> None:
    detector = FaceDetector.load(options.publishing.output / "face_detector.onnx", threads=1)
    last = torch.load(options.training.checkpoints / "detector" / "last.pt", weights_only=True)
    same, other = DetectorNetwork(), DetectorNetwork()
    same.load_state_dict(last["network"])
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(3)]
    agreed, differed = (publish.measure_parity(detector, network, pictures) for network in (same, other))
    assert agreed.compared == agreed.equal > 0
    assert agreed.largest_difference < publish.MAX_COORDINATE_DIFFERENCE
    assert differed.equal < differed.compared


def test_train_py_leaves_a_detector_with_report_and_card(options: DetectorOptions) -> None:
    file = options.publishing.output / "face_detector.onnx"
    detector = FaceDetector.load(file, threads=1)
    report = json.loads(file.with_suffix(".json").read_text())
    assert report["metadata"] == detector.metadata.model_dump(mode="json")
    assert report["metrics"]["photos"]["total"] == 5
    assert report["metrics"]["milliseconds"] > 0
    assert f"**{detector.metadata.threshold:.3f}**" in file.with_suffix(".md").read_text()


@pytest.mark.slow
def test_a_finished_run_is_measured_anew(options: DetectorOptions) -> None:
    file = options.publishing.output / "face_detector.onnx"
    before, size = FaceDetector.load(file, threads=1).metadata, file.stat().st_size
    train.main(changed(options, resume=True))
    assert FaceDetector.load(file, threads=1).metadata.metrics.keys() == before.metrics.keys()
    assert verify_checksum(file)
    assert file.stat().st_size == pytest.approx(size, abs=200)


@pytest.mark.slow
def test_a_detector_that_finds_nothing_is_not_exported(
    options: DetectorOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "SCORE_BIAS_INIT", -20.0)
    blind = changed(options, checkpoints=options.training.checkpoints / "blind")
    with pytest.raises(FitError, match="--steps"):
        train.main(blind)


def test_it_is_not_put_in_place_unless_it_finds_what_the_network_finds(
    options: DetectorOptions, dataset: FaceDataset, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "MAX_UNPAIRED_FRACTION", -1.0)
    there = {path: path.read_bytes() for path in options.publishing.output.glob("face_detector*")}
    torch.manual_seed(0)
    with pytest.raises(ExportError, match="Nothing is changed"):
        publish.publish_detector(DetectorNetwork().eval(), dataset, split, options, origin=Origin("", "", None))
    assert there == {path: path.read_bytes() for path in options.publishing.output.glob("face_detector*")}
    assert not list(options.publishing.output.glob(".exporting-*"))
