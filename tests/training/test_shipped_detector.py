"""The shipped detector: its report is true, on real faces and on a photograph that is not from its data set."""

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facerec.inference.cropping import Turn
from facerec.inference.detector import FaceDetector
from facerec.inference.model_file import DetectorMetadata
from facerec.training.dataset import FaceDataset
from facerec.training.detection.evaluate import evaluate_detector
from facerec.training.split import Split
from tests.shipped import DETECTOR, needs_lfw
from tests.training.landmarks.photograph import HOPPER, photograph


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return dict(json.loads(DETECTOR.with_suffix(".json").read_text()))


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector.load(DETECTOR, threads=1)


def test_file_and_report_are_of_one_run(detector: FaceDetector, report: dict[str, Any]) -> None:
    assert detector.metadata == DetectorMetadata.model_validate(report["metadata"])
    assert report["command"] in DETECTOR.with_suffix(".md").read_text()
    assert DETECTOR.stat().st_size <= 5_000_000


def test_it_is_good_enough_to_ship(report: dict[str, Any]) -> None:
    metrics = report["metadata"]["metrics"]
    assert metrics["recall"] >= 0.965
    assert metrics["precision"] >= 0.97
    assert metrics["face_free"] <= 0.01
    assert metrics["photos"] >= 0.99


@pytest.mark.parametrize("scale", [0.2, 0.5, 1, 4])
def test_it_finds_the_face_of_a_photograph_at_any_scale(detector: FaceDetector, scale: float) -> None:
    picture = photograph()
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    (face,) = detector.detect(picture)
    assert face.iou(HOPPER.scaled(scale)) > 0.5


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_it_finds_the_face_of_a_turned_photograph(detector: FaceDetector, turn: Turn) -> None:
    upright = photograph()
    picture = upright.rotate(-turn, expand=True)
    found, (face,) = detector.detect_turned(picture)
    (expected,) = (each.turned(turn, picture.size) for each in detector.detect(upright))
    assert found == turn
    assert face.iou(expected) > 0.8
    assert abs(np.degrees(face.angle - expected.angle)) < 5


def test_it_finds_none_in_noise_and_plain_colours(detector: FaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    for picture in (Image.fromarray(noise), *(Image.new("RGB", (320, 200), colour) for colour in ("black", "tan"))):
        assert detector.detect(picture) == []


@pytest.mark.slow
@needs_lfw
def test_its_metrics_are_the_reports(
    detector: FaceDetector, lfw: FaceDataset, lfw_split: Split, report: dict[str, Any]
) -> None:
    seed = report["metadata"]["configuration"]["seed"]
    metrics = evaluate_detector(detector, lfw, lfw_split, seed=seed)
    for name in ("recall", "precision", "face_free", "photos"):
        assert abs(getattr(metrics, name).count - report["metrics"][name]["count"]) <= 2, name  # rounding differs
    for name in ("turned", "sized"):
        for number, proportion in getattr(metrics, name).items():
            assert abs(proportion.count - report["metrics"][name][str(number)]["count"]) <= 2, (name, number)
