"""The shipped accurate model on real faces: its report is true, on the way that a picture takes in the service."""

import json
import shlex
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import train
from facerec.inference.detector import FaceDetector
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import RecognizerMetadata
from facerec.inference.pipeline import Pipeline
from facerec.inference.recognizer import FaceRecognizer
from facerec.inference.results import Trace
from facerec.training.archive import extract
from facerec.training.dataset import FaceDataset
from facerec.training.options import RecognizerOptions
from facerec.training.recognition.dlib_network import DlibNetwork
from facerec.training.recognition.publish import embedding_id
from facerec.training.split import Split
from tests.shipped import ACCURATE_RECOGNIZER, DETECTOR, LANDMARKS, LFW, ROOT, needs_lfw


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return dict(json.loads(ACCURATE_RECOGNIZER.with_suffix(".json").read_text()))


@pytest.fixture(scope="module")
def recognizer() -> FaceRecognizer:
    return FaceRecognizer.load(ACCURATE_RECOGNIZER, threads=1)


def test_file_and_report_are_of_one_run(recognizer: FaceRecognizer, report: dict[str, Any]) -> None:
    assert recognizer.metadata == RecognizerMetadata.model_validate(report["metadata"])
    assert report["command"] in ACCURATE_RECOGNIZER.with_suffix(".md").read_text()


def test_its_command_still_makes_it(report: dict[str, Any]) -> None:
    command = shlex.split(report["command"])
    options = train.parse(command[command.index("train.py") + 1 :])
    assert isinstance(options, RecognizerOptions)
    assert options.recipe() == report["metadata"]["configuration"]


def test_its_embeddings_are_those_of_dlibs_network(recognizer: FaceRecognizer) -> None:
    assert recognizer.metadata.embedding_id == embedding_id(DlibNetwork(), recognizer.metadata.alignment)


def test_it_is_good_enough_to_ship(report: dict[str, Any]) -> None:
    folds = report["folds"]
    assert np.mean([fold["top_1"]["value"] for fold in folds]) >= 0.996
    assert np.mean([fold["dir_at_far_1"]["value"] for fold in folds]) >= 0.98
    new_people = {row["enrolled_images"]: row for row in report["metrics"]["new_people"]}
    assert new_people[1]["dir_at_far_1"] >= 0.84
    assert new_people[5]["dir_at_far_1"] >= 0.97
    assert report["parity"]["largest_difference"] <= 1e-3
    assert ACCURATE_RECOGNIZER.stat().st_size <= 12_000_000


@pytest.mark.slow
@needs_lfw
def test_its_metrics_are_the_reports(
    recognizer: FaceRecognizer, lfw: FaceDataset, lfw_split: Split, report: dict[str, Any]
) -> None:
    people = next(extract(LFW, ROOT / "data").glob("*/Aaron_Eckhart")).parent
    detector, predictor = FaceDetector.load(DETECTOR, threads=1), LandmarkPredictor.load(LANDMARKS, threads=1)
    pipeline = Pipeline(recognizer, detector, predictor, max_bytes=2**20, max_pixels=2**20, max_faces=1)

    def similarities(images: NDArray[np.int64]) -> NDArray[np.float32]:
        files = [people / lfw.paths[image] for image in images]
        results = [pipeline.recognize(file.read_bytes, "detect", Trace()) for file in files]
        embeddings = [result.embeddings for result in results if result.embeddings is not None]
        assert len(embeddings) == len(files)
        return np.concatenate(embeddings) @ recognizer.directions.T

    threshold, metrics = recognizer.metadata.threshold, report["metrics"]
    known = similarities(lfw_split.test)
    correct = known.argmax(axis=1) == lfw_split.labels[lfw_split.test]
    wrong = {lfw.paths[image] for image in lfw_split.test[~correct]}
    assert wrong == {mistake["picture"] for mistake in report["mistakes"]}
    # One answer of each may differ: rounding differs between machines.
    accepted = correct & (known.max(axis=1) >= threshold)
    assert abs(accepted.sum() - metrics["accepted_known"]["count"]) <= 1
    unknown = similarities(lfw_split.unknown_test).max(axis=1) >= threshold
    assert abs(unknown.sum() - metrics["accepted_unknown"]["count"]) <= 1
