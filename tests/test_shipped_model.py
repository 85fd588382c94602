"""The shipped model on real faces: its report is true. Needs the data set, in data/ or where the variable LFW says."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec.learning.dataset import FaceImages, load_faces
from facerec.learning.roles import Roles, assign_roles, channel_statistics
from facerec.model_file import ModelMetadata
from facerec.serving.recognizer import Recognition, Recognizer

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "model" / "face_recognition.onnx"
LFW = Path(os.environ.get("LFW", ROOT / "data" / "lfw-funneled.tgz"))

needs_lfw = pytest.mark.skipif(not LFW.exists(), reason=f"{LFW} is not there: train.py downloads it, or set LFW")


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return dict(json.loads(MODEL.with_name("report.json").read_text()))


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(MODEL, threads=2)


@pytest.fixture(scope="module")
def faces() -> FaceImages:
    return load_faces(LFW, data_dir=ROOT / "data")


@pytest.fixture(scope="module")
def roles(faces: FaceImages, report: dict[str, Any]) -> Roles:
    options = report["metadata"]["configuration"]
    return assign_roles(faces, min_images=options["min_images"], seed=options["seed"], fold=0)


def recognize(recognizer: Recognizer, faces: FaceImages, images: NDArray[np.int64]) -> Recognition:
    parts = [recognizer.recognize(faces.frames[chunk]) for chunk in np.array_split(images, len(images) // 32)]
    return Recognition(*(np.concatenate(outputs) for outputs in zip(*parts, strict=True)))


def test_file_and_report_are_of_one_run(recognizer: Recognizer, report: dict[str, Any]) -> None:
    assert recognizer.metadata == ModelMetadata.model_validate(report["metadata"])
    assert report["command"] in MODEL.with_name("README.md").read_text()


def test_it_is_good_enough_to_ship(report: dict[str, Any]) -> None:
    assert len(report["metadata"]["people"]) == 62
    assert report["figures"]["top_1"]["value"] >= 0.98
    assert report["parity"]["largest_difference"] <= 1e-3
    assert MODEL.stat().st_size <= 14_000_000


@needs_lfw
def test_the_data_is_the_one_that_the_protocol_describes(faces: FaceImages, roles: Roles) -> None:
    known = np.concatenate([roles.train, roles.validation, roles.test])
    assert (len(faces.paths), len(faces.names)) == (13_233, 5_749)
    assert (len(roles.people), len(known)) == (62, 3_023)
    assert (roles.other_people, len(roles.others)) == (1_618, 6_141)
    assert len(roles.strangers_chosen) + len(roles.strangers_test) == 4_069
    mean, deviation = channel_statistics(faces, known)
    assert mean == pytest.approx([0.4304, 0.3777, 0.3368], abs=5e-5)
    assert deviation == pytest.approx([0.3000, 0.2728, 0.2655], abs=5e-5)


@needs_lfw
def test_its_test_accuracy_is_the_reports(
    recognizer: Recognizer, faces: FaceImages, roles: Roles, report: dict[str, Any]
) -> None:
    answer = recognize(recognizer, faces, roles.test)
    right = answer.probabilities.argmax(axis=1) == roles.labels[roles.test]
    assert len(right) == report["figures"]["top_1"]["of"]
    assert right.sum() == report["figures"]["top_1"]["count"]
    wrong = {faces.paths[image] for image in roles.test[~right]}
    assert wrong == {mistake["picture"] for mistake in report["mistakes"]}
    accepted = right & (answer.similarities.max(axis=1) >= recognizer.metadata.threshold)
    assert abs(accepted.sum() - report["figures"]["accepted_known"]["count"]) <= 1  # rounding differs between machines


@needs_lfw
def test_strangers_are_rejected_at_the_reported_rate(
    recognizer: Recognizer, faces: FaceImages, roles: Roles, report: dict[str, Any]
) -> None:
    highest = recognize(recognizer, faces, roles.strangers_test).similarities.max(axis=1)
    accepted = int((highest >= recognizer.metadata.threshold).sum())
    assert len(highest) == report["figures"]["accepted_strangers"]["of"]
    assert abs(accepted - report["figures"]["accepted_strangers"]["count"]) <= 1
