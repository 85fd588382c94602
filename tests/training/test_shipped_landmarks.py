"""The shipped landmark predictor: its report is true, on real faces and on a photograph not from its data set."""

import json
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facerec.inference.alignment import eye_distances
from facerec.inference.detector import FaceDetector
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import LandmarkMetadata
from facerec.training.dataset import FaceDataset
from facerec.training.landmarks.evaluate import evaluate_landmarks
from facerec.training.landmarks.labels import label_faces, split_background
from facerec.training.split import Split
from tests.shipped import DETECTOR, LANDMARKS, needs_lfw
from tests.training.landmarks.photograph import HOPPER, HOPPER_POINTS, photograph


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return dict(json.loads(LANDMARKS.with_suffix(".json").read_text()))


@pytest.fixture(scope="module")
def predictor() -> LandmarkPredictor:
    return LandmarkPredictor.load(LANDMARKS, threads=1)


@pytest.fixture(scope="module")
def face_detector() -> FaceDetector:
    return FaceDetector.load(DETECTOR, threads=1)


def test_file_and_report_are_of_one_run(
    predictor: LandmarkPredictor, face_detector: FaceDetector, report: dict[str, Any]
) -> None:
    assert predictor.metadata == LandmarkMetadata.model_validate(report["metadata"])
    assert report["detector"] == face_detector.checksum
    assert report["command"] in LANDMARKS.with_suffix(".md").read_text()
    assert LANDMARKS.stat().st_size <= 2_000_000


def test_it_is_good_enough_to_ship(report: dict[str, Any]) -> None:
    metrics = report["metadata"]["metrics"]
    assert metrics["test_mean"] <= 0.04
    assert metrics["test_implausible"] <= 0.002


@pytest.mark.parametrize("scale", [0.2, 0.5, 1, 4])
@pytest.mark.parametrize("degrees", [0, 20, -90, 180])
def test_it_finds_the_points_of_a_photograph(predictor: LandmarkPredictor, scale: float, degrees: float) -> None:
    picture = photograph()
    x, y = HOPPER.x * scale, HOPPER.y * scale
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)
    picture = picture.rotate(-degrees, Image.Resampling.BICUBIC, center=(x, y))
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    expected = [complex(x, y) + turn * complex(*point) for point in (HOPPER_POINTS * scale - (x, y)).tolist()]
    found = predictor.predict(picture, HOPPER.scaled(scale)._replace(angle=math.radians(degrees)))
    assert found is not None
    errors = np.abs([complex(*point) for point in found.tolist()] - np.array(expected))
    assert errors.max() < 0.15 * eye_distances(HOPPER_POINTS) * scale


@pytest.mark.slow
@needs_lfw
def test_its_metrics_are_the_reports(
    predictor: LandmarkPredictor,
    face_detector: FaceDetector,
    lfw: FaceDataset,
    lfw_split: Split,
    report: dict[str, Any],
) -> None:
    _, validation = split_background(lfw, lfw_split)
    metrics = evaluate_landmarks(
        predictor,
        face_detector,
        lfw,
        validation=label_faces(lfw, validation, face_detector, "Validation faces"),
        test=label_faces(lfw, np.union1d(lfw_split.unknown_test, lfw_split.test), face_detector, "Test faces"),
    )
    for name in ("validation", "test", "turned", "small"):
        found, expected = getattr(metrics, name), report["metrics"][name]
        assert found.mean == pytest.approx(expected["mean"], rel=0.01), name
        assert found.percentile_95 == pytest.approx(expected["percentile_95"], rel=0.02), name
        assert abs(found.implausible.count - expected["implausible"]["count"]) <= 1, name  # rounding differs
        assert abs(found.not_found - expected["not_found"]) <= 1, name
