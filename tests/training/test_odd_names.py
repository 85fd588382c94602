"""Names of people that consoles, formulas and terminals stumble over, from folders to figures and files."""

import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

import train
from facerec.commands.console import escape_unencodable
from facerec.inference.recognizer import FaceRecognizer
from facerec.training.options import RecognizerOptions, changed
from tests.drawn_people import draw_people
from tests.shipped import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems don't allow these names")

ODD_NAMES = ["Ca$$ie", "李小龍", "A\x1b[31mnn", "$x_1^2$"]
SAFE_NAMES = sorted(["Ca$$ie", "李小龍", "A\\x1b[31mnn", "$x_1^2$"])


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A folder of people with odd names, of whom one has a file name that is not UTF-8, and 20 others."""
    folder = draw_people(tmp_path / "people", [6, 6, 6, 6] + [1] * 20)
    for number, name in enumerate(ODD_NAMES):
        (folder / f"Person_{number:02}").rename(folder / name)
    (folder / "李小龍" / "0000.jpg").rename(folder / "李小龍" / os.fsdecode(b"M\xfcller.jpg"))
    (folder / "李小龍" / "映画.mov").touch()
    return folder


def explore(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`train.py explore` on a console whose encoding lacks most characters."""
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "train.py", "explore", *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="cp1252",
        timeout=300,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
    )


def test_exploring_works_on_a_console_that_lacks_their_characters(people: Path, tmp_path: Path) -> None:
    options = {"data": people, "background": "none", "data-dir": tmp_path / "data", "images": tmp_path / "plots"}
    result = explore("--min-images=5", *(f"--{name}={value}" for name, value in options.items()))
    assert result.returncode == 0, result.stderr
    assert "pictures skipped: 1 of other kinds (.mov 1)" in result.stdout
    assert f"The plots are in {tmp_path / 'plots'}/." in result.stdout
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "classes.png", "properties.png", "samples.png", "split.png",
    ]  # fmt: skip
    assert "\x1b[31m" not in result.stdout + result.stderr
    assert "Glyph" not in result.stderr


def test_an_error_that_names_them_is_one_line_of_the_console(people: Path, tmp_path: Path) -> None:
    for name in ODD_NAMES[1:3]:
        data = people / name / "missing\n\x1b[31m"
        result = explore("--data", str(data), "--data-dir", str(tmp_path), "--images", str(tmp_path))
        assert result.returncode == 1
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("train.py: ")
        assert "\x1b" not in result.stderr


@pytest.mark.usefixtures("toy_backbone")
def test_training_keeps_them_whole_in_its_files(
    people: Path, small_options: RecognizerOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    monkeypatch.setattr(sys, "stderr", console)
    escape_unencodable()
    folders = {name: tmp_path / name for name in ("output", "images", "checkpoints", "data_dir")}
    landmarks = tmp_path / "odd\x1b[31m.onnx"
    for suffix in ("", ".sha256"):
        shutil.copy(f"{small_options.data.landmarks}{suffix}", f"{landmarks}{suffix}")
    with warnings.catch_warnings(action="error", category=UserWarning):
        train.main(changed(small_options, data=people, landmarks=landmarks, **folders))
    console.flush()
    said = console.buffer.getvalue().decode("cp1252")
    assert "\x1b[31m" not in said
    model = tmp_path / "output" / "face_recognition.onnx"
    metadata = FaceRecognizer.load(model, threads=1).metadata
    assert [person.name for person in metadata.people] == SAFE_NAMES
    report = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    assert [person["name"] for person in report["metadata"]["people"]] == SAFE_NAMES
    assert report["skipped"] == {"李小龍/映画.mov": "not a picture by its suffix: .mov"}
    assert report["metadata"]["configuration"]["landmarks"] == "odd\\x1b[31m.onnx"
    card = model.with_suffix(".md").read_text(encoding="utf-8")
    assert all(f"| {name} |" in card for name in SAFE_NAMES)
    for text in (card, model.with_suffix(".json").read_text(encoding="utf-8")):
        assert "\x1b" not in text
    for plot in (tmp_path / "images").iterdir():
        with Image.open(plot) as picture:
            assert picture.width <= 1210
