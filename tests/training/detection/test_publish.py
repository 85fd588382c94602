import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import train
from facerec.inference import detector as detector_module
from facerec.inference.detector import FaceDetector
from facerec.inference.model_file import verify_checksum
from facerec.inference.recognizer import Recognizer
from facerec.training.dataset import FaceDataset
from facerec.training.detection import evaluate, fit, matching, network, publish
from facerec.training.detection.network import DetectorNetwork
from facerec.training.errors import DataError, ExportError, TrainingError
from facerec.training.options import Options
from facerec.training.split import Split


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "SIDE", 64)
    monkeypatch.setattr(fit, "BATCH_SIZE", 2)
    monkeypatch.setattr(evaluate, "PICTURES", 24)
    monkeypatch.setattr(evaluate, "SINGLE_FACE_SCENES", 4)
    monkeypatch.setattr(network, "PRIOR", 0.0)  # two steps teach nothing: it then finds faces everywhere, all alike,
    monkeypatch.setattr(matching, "MIN_OVERLAP", 0.1)  # and hits half of the true ones so
    monkeypatch.setattr(detector_module, "SURE", 0.0)  # a second look at each would take minutes
    monkeypatch.setattr(evaluate, "RECALL", 0.2)
    monkeypatch.setattr(publish, "MAX_UNPAIRED_FRACTION", 1.0)  # which of two that overlap stays is up to rounding


@pytest.fixture(scope="module")
def options(small_options: Options, tmp_path_factory: pytest.TempPathFactory) -> Options:
    """Of a recognizer that was trained, and of a detector that is to be."""
    folder = tmp_path_factory.mktemp("run")
    options = dataclasses.replace(
        small_options,
        epochs=1,
        detector_steps=2,
        output=folder / "model",
        images=folder / "images",
        checkpoints=folder / "checkpoints",
    )
    train.main(options)
    return options


def test_networks_with_other_weights_do_not_find_the_same(options: Options, tmp_path: Path) -> None:
    train.main(dataclasses.replace(options, train_detector=True))
    detector = FaceDetector.load(options.output / "face_detector.onnx", threads=1)
    last = torch.load(options.checkpoints / "detector" / "last.pt", weights_only=True)
    same, other = DetectorNetwork(), DetectorNetwork()
    same.load_state_dict(last["average"])
    other.load_state_dict(last["network"])
    generator = np.random.default_rng(0)
    pictures = [Image.fromarray(generator.integers(0, 255, (64, 96, 3), np.uint8)) for _ in range(3)]
    agreed, differed = (publish.compare(detector, network, pictures) for network in (same, other))
    assert agreed.faces == agreed.paired > 0
    assert agreed.largest_difference < publish.LARGEST_DIFFERENCE
    assert differed.paired < differed.faces


def test_train_py_leaves_a_detector_with_report_card_and_figure(options: Options) -> None:
    train.main(dataclasses.replace(options, train_detector=True))
    file = options.output / "face_detector.onnx"
    detector = FaceDetector.load(file, threads=1)
    report = json.loads(file.with_suffix(".json").read_text())
    assert report["recognizer"] == Recognizer.load(options.output / "face_recognition.onnx", threads=1).checksum
    assert report["metadata"] == detector.metadata.model_dump(mode="json")
    assert report["metrics"]["auto"]["total"] == report["metrics"]["centre"]["total"] == 5
    assert f"**{detector.metadata.threshold:.3f}**" in file.with_suffix(".md").read_text()
    with Image.open(options.images / "photo.png") as figure:
        assert min(figure.size) > 300

    size = file.stat().st_size
    train.main(dataclasses.replace(options, train_detector=True, resume=True))  # a finished run is measured anew
    assert FaceDetector.load(file, threads=1).metadata.metrics.keys() == report["metadata"]["metrics"].keys()
    assert verify_checksum(file)
    assert file.stat().st_size == pytest.approx(size, abs=200)


def test_a_detector_that_finds_nothing_is_not_exported(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "PRIOR", -20.0)
    blind = dataclasses.replace(options, train_detector=True, checkpoints=options.checkpoints / "blind")
    with pytest.raises(TrainingError, match="--detector-steps"):
        train.main(blind)


def test_it_is_not_put_in_place_unless_it_finds_what_the_network_finds(
    options: Options, dataset: FaceDataset, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = publish.load_recognizer(options, split)
    monkeypatch.setattr(publish, "MAX_UNPAIRED_FRACTION", -1.0)
    there = {path: path.read_bytes() for path in options.output.glob("face_detector*")}
    torch.manual_seed(0)
    with pytest.raises(ExportError, match="Nothing is changed"):
        publish.publish_detector(DetectorNetwork().eval(), recognizer, dataset, split, options, command="", machine="")
    assert there == {path: path.read_bytes() for path in options.output.glob("face_detector*")}
    assert not list(options.output.glob(".exporting-*"))


def test_the_recognizer_comes_first_and_must_know_the_same_people(
    options: Options, split: Split, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="train that first"):
        publish.load_recognizer(dataclasses.replace(options, output=tmp_path), split)
    with pytest.raises(DataError, match="other pictures or another --seed"):
        publish.load_recognizer(dataclasses.replace(options, seed=1), split)
    with pytest.raises(DataError, match="other pictures or another --seed"):
        publish.load_recognizer(options, dataclasses.replace(split, people=split.people[:-1]))
    with pytest.raises(DataError, match="other pictures or another --seed"):
        publish.load_recognizer(options, dataclasses.replace(split, test=split.test[1:]))
