"""How often the page is sure, by its own rule, of people whom the shipped models know and of others."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lfw import find_lfw
from facerec import Recognizer
from tests.shipped import ROOT, needs_lfw


def sure_fraction(recognizer: Recognizer, files: list[Path]) -> float:
    """The fraction of the pictures of whose most prominent face the page is sure."""
    script = (ROOT / "facerec" / "serving" / "page" / "faces.js").read_text()
    rule = re.search(r"similarity - threshold >= ([\d.]+) \* \(1 - threshold\)", script)
    assert rule
    first = [faces[0] for file in files if (faces := recognizer.recognize(file))]
    needed = [face.threshold + float(rule[1]) * (1 - face.threshold) for face in first]
    sure = [face.similarity is not None and face.similarity >= each for face, each in zip(first, needed, strict=True)]
    return sum(sure) / len(sure)


@pytest.mark.slow
@needs_lfw
@pytest.mark.parametrize("model", ["default", "accurate"])
def test_it_is_sure_of_most_known_people_and_of_hardly_anybody_else(model: str, tmp_path: Path) -> None:
    lfw = find_lfw(ROOT / "data")
    unknown = np.random.default_rng(0).choice(lfw.split.unknown_validation, 600, replace=False)
    recognizer = Recognizer.load(model=model, gallery=tmp_path / "people.sqlite")
    assert sure_fraction(recognizer, [lfw.files[index] for index in lfw.split.validation]) >= 0.91
    assert sure_fraction(recognizer, [lfw.files[index] for index in unknown]) <= 1.5 / 600
