"""The command that measures the false matches of a file, on people who are told apart by their colours."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facerec.inference.false_matches import KNOWN_PERSON
from facerec.inference.recognizer import FaceRecognizer
from facerec.training.errors import DataError
from facerec.training.options import RecognizerDataOptions
from model.false_matches import FOLLOWING_SECTION, SECTION, add_false_matches
from tests.shipped import LANDMARKS
from tests.toy_model import TOY_PEOPLE, toy_graph, toy_metadata, write_model

COUNTS = dict.fromkeys(TOY_PEOPLE, 20) | {"Nina_New": 10, "Nils_New": 10, "Neva_New": 11}
CARD = f"# A card\n\n## Metrics\n\nof then\n\n{FOLLOWING_SECTION}\nas it was\n"


@pytest.fixture
def options(tmp_path: Path) -> RecognizerDataOptions:
    """Three known people, three with 10 or 11 pictures, and 300 with one."""
    random = np.random.default_rng(0)
    for name, count in (COUNTS | {f"Unknown_{number}": 1 for number in range(300)}).items():
        folder = tmp_path / "people" / name
        folder.mkdir(parents=True)
        for number, colour in enumerate(random.integers(0, 256, (count, 3), np.uint8)):
            Image.fromarray(np.broadcast_to(colour, (40, 40, 3))).save(folder / f"{number}.png")
    return RecognizerDataOptions(
        data=tmp_path / "people",
        background="none",
        data_dir=tmp_path / "data",
        crop_mode="centre",
        landmarks=LANDMARKS,
    )


def write_recognizer(folder: Path, people: tuple[str, ...] = tuple(sorted(TOY_PEOPLE))) -> Path:
    """A toy recognizer with report and card, as they were before false matches were measured."""
    path = folder / "face_recognition.onnx"
    known = tuple(
        each.model_copy(update={"name": name}) for each, name in zip(toy_metadata().people, people, strict=True)
    )
    changes = {"people": known, "configuration": {"false_accept_rate": 0.1, "min_images": 20, "seed": 0}}
    write_model(path, toy_graph(), toy_metadata().model_copy(update=changes))
    report = {"metrics": {"top_1": 0.9}, "other": [1, 2]}
    path.with_suffix(".json").write_text(json.dumps(report))
    path.with_suffix(".md").write_text(CARD)
    return path


def test_file_report_and_card_get_them_and_stay_as_they_are_otherwise(
    tmp_path: Path, options: RecognizerDataOptions
) -> None:
    path = write_recognizer(tmp_path)
    before = FaceRecognizer.load(path, threads=1)
    add_false_matches(path, options)
    after = FaceRecognizer.load(path, threads=1)
    matches = after.metadata.false_matches
    assert matches
    assert matches.false_accept_rate == 0.1
    assert {KNOWN_PERSON, 1} == set(matches.similarities)
    assert after.metadata == before.metadata.model_copy(update={"false_matches": matches})
    assert after.directions.tolist() == before.directions.tolist()

    report = json.loads(path.with_suffix(".json").read_text())
    assert report["metadata"] == after.metadata.model_dump(mode="json")
    assert report["other"] == [1, 2]
    galleries = report["metrics"]["galleries"]
    assert {gallery["people"] for gallery in galleries} == {10, 48, 100}
    assert 0 < galleries[0]["false_accept_rate"] < 0.5

    card = path.with_suffix(".md").read_text()
    head, section, rest = card.partition(SECTION)
    text, following, rest = rest.partition(FOLLOWING_SECTION)
    assert head + following + rest == CARD
    assert "This network was trained on the new people" in text
    assert text.count("\n| 10 |") == 4
    assert section

    written = path.read_bytes(), card
    add_false_matches(path, options)
    assert (path.read_bytes(), path.with_suffix(".md").read_text()) == written, "it can be run again"


def test_a_recognizer_of_other_people_is_refused(tmp_path: Path, options: RecognizerDataOptions) -> None:
    path = write_recognizer(tmp_path, people=("Ann", "Bob", "Cid"))
    before = path.read_bytes()
    with pytest.raises(DataError, match="knows other people"):
        add_false_matches(path, options)
    assert path.read_bytes() == before


def test_too_few_unknown_people_are_refused(tmp_path: Path, options: RecognizerDataOptions) -> None:
    path = write_recognizer(tmp_path)
    for folder in sorted((tmp_path / "people").glob("Unknown_*"))[40:]:
        shutil.rmtree(folder)
    before = path.read_bytes()
    with pytest.raises(DataError, match="too few unknown people"):
        add_false_matches(path, options)
    assert path.read_bytes() == before
