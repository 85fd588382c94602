"""The model card in all its forms."""

import json
import re
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from pydantic import TypeAdapter

from facerec.training.recognition.new_people import NewPeopleMetrics
from facerec.training.recognition.report import RecognitionReport
from tests.shipped import RECOGNIZER

SHIPPED: dict[str, Any] = json.loads(RECOGNIZER.with_suffix(".json").read_text())
NEW_PEOPLE = [
    {"enrolled_images": 1, "top_1": 0.5, "top_1_with_known": 0.4, "dir_at_far_1": 0.2, "dir_at_far_10": 0.3},
    {"enrolled_images": 3, "top_1": 0.8, "top_1_with_known": 0.7, "dir_at_far_1": 0.5, "dir_at_far_10": 0.6},
]
GALLERY = {
    "people": 1000,
    "tested_people": 48,
    "enrolled_images": 5,
    "false_accept_rate": 0.0104,
    "lowest": 0.0079,
    "highest": 0.0123,
    "uncorrected": 0.061,
    "with_known": 0.0098,
    "dir": 0.8697,
}
FALSE_MATCHES = {"false_accept_rate": 0.01, "similarities": {0: [0.3, 0.4], 1: [0.5, 0.6]}}
FOLD = SHIPPED["metrics"] | {"galleries": [], "similarity_own": 0.7, "similarity_unknown": 0.3}
PRETRAINING = {"seconds": 100.0, "images": 21_928, "train_left": 0.264, "unknown_left": 0.329}
CONDITION = {"condition": "sharpness", "low": 1.5, "high": 2.5, "errors": SHIPPED["metrics"]["top_1"]}


def report(
    *, dlib: bool = False, taught: bool = False, folds: int = 5, lfw: bool = True, new_people: bool = True
) -> RecognitionReport:
    """The report of the shipped model, or of another with the same metrics."""
    metadata = dict(SHIPPED["metadata"])
    if dlib:
        metadata |= {"backbone": "dlib-resnet", "alignment": {"crop_size": 150, "points": [(1.0, 2.0)] * 5}}
    people: dict[str, Any] = {"new_people": [], "galleries": []}
    if new_people:
        people = {"new_people": NEW_PEOPLE, "galleries": [GALLERY]}
        metadata |= {"false_matches": FALSE_MATCHES}
    metrics = [FOLD | people] * folds
    changes = {
        "file": "face_recognition_accurate.onnx" if dlib else "face_recognition.onnx",
        "metadata": metadata,
        "metrics": metrics[0],
        "folds": metrics,
        "lfw": lfw,
        "conditions": [CONDITION] * 3,
        "history": [] if dlib else SHIPPED["history"],
        "pretraining": [PRETRAINING] * 12 if taught else [],
        "commit": SHIPPED["commit"] if lfw else None,
        "skipped": {},
        "mistakes": SHIPPED["mistakes"] if lfw else [],
    }
    return TypeAdapter(RecognitionReport).validate_python(SHIPPED | changes)


@pytest.mark.parametrize(
    ("kind", "folds", "lfw", "new_people"),
    list(product(("", "dlib", "taught"), (1, 5), (False, True), (False, True))),
)
def test_the_card_is_well_formed(kind: str, folds: int, lfw: bool, new_people: bool) -> None:
    dlib, taught = kind == "dlib", kind == "taught"
    card = report(dlib=dlib, taught=taught, folds=folds, lfw=lfw, new_people=new_people).card()
    assert "\n\n\n" not in card
    assert card.endswith("|\n")
    lines = card.splitlines()
    for line in lines:
        assert line == line.rstrip()
        assert not re.match(r"\d+[.)] ", line), f"the end of a sentence reads as a list: {line}"
        assert len(line) <= 120 or line.startswith(("|", "    ", "The network ")), line
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if line.startswith("#"):
            assert (before, after) == ("", "")
        if line.startswith("|"):
            assert before == "" or before.startswith("|"), f"text runs into the table: {before}"
            if before:
                assert before.count("|") == line.count("|"), line
            else:
                assert set(after) == set("|-"), "every table has a head"
        elif before.startswith("|"):
            assert line == ""
    assert ("whom it never saw" in card) == new_people
    assert ("## Thresholds for galleries" in card) == new_people
    assert ("background people, whom the network has not seen" in card) == (new_people and dlib)
    assert ("## Compared with others" in card) == lfw
    assert ("Together, five of them test every" in card) == (folds > 1)
    assert ("Training the exported network took" in card) == (not dlib)
    assert ("On unknown people it left\n0.329" in card) == taught
    assert f"`face_recognition{'_accurate' if dlib else ''}.json`" in card


def test_galleries_are_those_of_the_exported_network() -> None:
    two = report(folds=2)
    card = replace(two, folds=[two.metrics, replace(two.metrics, galleries=[])]).card()
    assert "| 1,000 | 5 | 1.04% | 0.79% to 1.23% | 6.10% | 0.98% | 86.97% |" in card


def test_new_people_are_described_by_the_means_of_the_folds() -> None:
    two = report(folds=2)
    doubled = [NewPeopleMetrics(1, 1, 0.8, 0.4, 0.6), NewPeopleMetrics(3, 1, 0.7, 0.5, 0.6)]
    better = replace(two.metrics, new_people=doubled)
    card = replace(two, folds=[two.metrics, better]).card()
    assert "| 1 | 75.00% | 60.00% | 30.00% | 45.00% |" in card
    assert "| 3 | 90.00% | 70.00% | 50.00% | 60.00% |" in card
