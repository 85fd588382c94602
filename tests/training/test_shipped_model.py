"""The shipped model on real faces: its report is true."""

import json
import shlex
from typing import Any

import numpy as np
import pytest
import requests
from numpy.typing import NDArray

import train
from facerec.inference.model_file import RecognizerMetadata
from facerec.inference.recognizer import FaceRecognizer, ModelOutput
from facerec.people.names import canonical_name
from facerec.serving.settings import Settings
from facerec.training.archive import extract
from facerec.training.dataset import FaceDataset
from facerec.training.exploration import channel_statistics
from facerec.training.options import RecognizerOptions
from facerec.training.split import Split
from tests.harness import running
from tests.shipped import DETECTOR, LANDMARKS, LFW, RECOGNIZER, ROOT, needs_lfw


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return dict(json.loads(RECOGNIZER.with_suffix(".json").read_text()))


@pytest.fixture(scope="module")
def recognizer() -> FaceRecognizer:
    return FaceRecognizer.load(RECOGNIZER, threads=2)


def recognize(recognizer: FaceRecognizer, dataset: FaceDataset, indices: NDArray[np.int64]) -> ModelOutput:
    parts = [recognizer.recognize(dataset.crops[chunk]) for chunk in np.array_split(indices, len(indices) // 32)]
    return ModelOutput(*(np.concatenate(outputs) for outputs in zip(*parts, strict=True)))


def test_file_and_report_are_of_one_run(recognizer: FaceRecognizer, report: dict[str, Any]) -> None:
    assert recognizer.metadata == RecognizerMetadata.model_validate(report["metadata"])
    assert report["command"] in RECOGNIZER.with_suffix(".md").read_text()


def test_it_is_good_enough_to_ship(report: dict[str, Any]) -> None:
    assert len(report["metadata"]["people"]) == 62
    assert report["metrics"]["top_1"]["value"] >= 0.98
    assert report["parity"]["largest_difference"] <= 1e-3
    assert RECOGNIZER.stat().st_size <= 14_000_000


def test_detecting_the_face_loses_nothing_where_the_centre_has_it(report: dict[str, Any]) -> None:
    by_detector, by_centre = (
        sum(fold[name]["count"] for fold in report["folds"]) for name in ("top_1", "top_1_centred")
    )
    assert by_detector >= by_centre - 0.003 * 3_023


@pytest.mark.slow
@needs_lfw
def test_the_data_is_the_one_that_the_protocol_describes(lfw: FaceDataset, lfw_split: Split) -> None:
    known = np.concatenate([lfw_split.train, lfw_split.validation, lfw_split.test])
    assert (len(lfw.paths), len(lfw.names)) == (13_233, 5_749)
    assert (len(lfw_split.people), len(known)) == (62, 3_023)
    assert (lfw_split.background_people, len(lfw_split.background)) == (1_570, 5_482)
    assert (len(lfw_split.new_people), sum(map(len, lfw_split.new_people))) == (48, 659)
    assert len(lfw_split.unknown_validation) + len(lfw_split.unknown_test) == 4_069
    mean, deviation = channel_statistics(lfw, known)
    assert mean == pytest.approx([0.4304, 0.3777, 0.3368], abs=5e-5)
    assert deviation == pytest.approx([0.3000, 0.2728, 0.2655], abs=5e-5)


@pytest.mark.slow
@needs_lfw
def test_its_test_accuracy_is_the_reports(
    recognizer: FaceRecognizer, cropped_lfw: FaceDataset, lfw_split: Split, report: dict[str, Any]
) -> None:
    answer = recognize(recognizer, cropped_lfw, lfw_split.test)
    correct = answer.probabilities.argmax(axis=1) == lfw_split.labels[lfw_split.test]
    assert len(correct) == report["metrics"]["top_1"]["total"]
    assert correct.sum() == report["metrics"]["top_1"]["count"]
    wrong = {cropped_lfw.paths[image] for image in lfw_split.test[~correct]}
    assert wrong == {mistake["picture"] for mistake in report["mistakes"]}
    accepted = correct & (answer.similarities.max(axis=1) >= recognizer.metadata.threshold)
    assert abs(accepted.sum() - report["metrics"]["accepted_known"]["count"]) <= 1  # rounding differs between machines


@pytest.mark.slow
@needs_lfw
def test_unknown_people_are_rejected_at_the_reported_rate(
    recognizer: FaceRecognizer, cropped_lfw: FaceDataset, lfw_split: Split, report: dict[str, Any]
) -> None:
    highest = recognize(recognizer, cropped_lfw, lfw_split.unknown_test).similarities.max(axis=1)
    accepted = int((highest >= recognizer.metadata.threshold).sum())
    assert len(highest) == report["metrics"]["accepted_unknown"]["total"]
    assert abs(accepted - report["metrics"]["accepted_unknown"]["count"]) <= 1


@pytest.mark.slow
@needs_lfw
def test_the_service_names_the_test_images_as_the_report_says(
    cropped_lfw: FaceDataset, lfw_split: Split, report: dict[str, Any]
) -> None:
    people = next(extract(LFW, ROOT / "data").glob("*/Aaron_Eckhart")).parent
    wrong, accepted = set(), 0
    with (
        running(
            Settings(model=RECOGNIZER, detector=DETECTOR, landmarks=LANDMARKS), write_log=lambda _: None
        ) as address,
        requests.Session() as client,
    ):
        for image in lfw_split.test:
            picture, person = cropped_lfw.paths[image], canonical_name(lfw_split.people[lfw_split.labels[image]])
            file = {"file": (people / picture).read_bytes()}
            answer = client.post(f"{address}/predict/upload", files=file, data={"top_k": 1}, timeout=60).json()
            wrong |= {picture} if answer["top_class"] != person else set()
            accepted += answer["identity"] == person
    assert wrong == {mistake["picture"] for mistake in report["mistakes"]}
    assert abs(accepted - report["metrics"]["accepted_known"]["count"]) <= 1  # rounding differs between machines


def test_its_command_still_makes_it(report: dict[str, Any]) -> None:
    command = shlex.split(report["command"])
    options = train.parse(command[command.index("train.py") + 1 :])
    assert isinstance(options, RecognizerOptions)
    configuration = report["metadata"]["configuration"]
    recipe = options.recipe()
    assert {name: recipe[name] for name in configuration} == configuration
    assert recipe == RecognizerOptions().recipe() | configuration, "options that are newer have their defaults"
