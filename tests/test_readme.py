"""What the documents say is true: their commands run, their settings and metrics are those of the project."""

import base64
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from facerec.serving.settings import Settings
from tests.harness import ROOT, photo, running, saved
from tests.toy_model import write_toy_detector, write_toy_landmark_predictor, write_toy_model

README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = list(
    dict.fromkeys(
        line
        for document in DOCUMENTS
        for block in re.findall(r"```bash\n(.*?)```", document.read_text(), re.DOTALL)
        for line in block.splitlines()
        if line
    )
)
"""What the documents tell users to type, each command once."""
# What the documents call https://example.org/... would need the network.
PICTURE_URL = f"data:image/png;base64,{base64.b64encode(saved(photo((80, 80, 'red')))).decode()}"


def commands(start: str) -> list[str]:
    found = [command for command in COMMANDS if command.startswith(start)]
    assert found, f"no document has a command {start}"
    return found


def test_every_command_is_of_a_kind_that_is_tested_here_or_by_ci() -> None:
    kinds = (
        "curl",
        "facerec ",  # tests/commands
        "pip install ",  # test_wheel
        "uvx --from . facerec ",
        "uv run train.py",
        "uv run torchrun --nproc-per-node=2 train.py --teacher none",
        "uv run --no-default-groups test.py",
        "git clone --depth 1 ",
        "uv run -m images.make",
        "uv run -m model.",  # test_upgrade, test_false_matches_command
    )
    others = [command for command in COMMANDS if not command.startswith(kinds)]
    assert [command for command in others if not command.startswith("docker")] == [
        "uv run --no-default-groups predict.py",  # test_whole_path
        "uv run pytest",  # .ci/run, like the next
        "uv run --no-group train pytest",
    ]


def test_calls_of_the_service_answer(tmp_path: Path) -> None:
    write_toy_model(tmp_path / "toy.onnx")
    write_toy_detector(tmp_path / "toy_detector.onnx")
    write_toy_landmark_predictor(tmp_path / "toy_landmarks.onnx")
    photo((80, 80, "red"), (240, 80, "lime")).save(tmp_path / "portrait.jpg", quality=95)
    settings = Settings(
        model=tmp_path / "toy.onnx",
        detector=tmp_path / "toy_detector.onnx",
        landmarks=tmp_path / "toy_landmarks.onnx",
        gallery=tmp_path / "people.sqlite",
        shipped_people=False,
    )
    with_key = settings.model_copy(update={"api_key": SecretStr("right")})
    with (
        running(settings, write_log=lambda _: None) as open_address,
        running(with_key, write_log=lambda _: None) as closed_address,
    ):
        for command in commands("curl"):
            address = closed_address if "$API_KEY" in command else open_address
            words = shlex.split(
                re.sub(r"https://example\.org/\w+\.jpg", PICTURE_URL, command)
                .replace("$API_KEY", "right")
                .replace("http://127.0.0.1:8000", address)
                .replace("curl", "curl --silent --show-error --fail")
            )
            result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
            assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
            assert '"code"' not in result.stdout
            assert result.stdout.startswith("{")


def test_the_quickstart_recognizes_the_people_of_the_sample() -> None:
    with running(Settings(shipped_people=True), write_log=lambda _: None) as address:
        command = [sys.executable, str(ROOT / "test.py"), "--service", address]
        printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert [line.split("  similarity")[0].strip() for line in printed.splitlines()] == [
        "recognized 4 of 6:", "Bill Clinton", "unknown", "unknown", "Jennifer Capriati", "Hans Blix",
        "Gloria Macapagal Arroyo",
    ]  # fmt: skip
    assert printed in README


@pytest.mark.slow
def test_training_commands_run_one_after_the_other(tmp_path: Path, drawn_people: Path, landmarks: Path) -> None:
    small = {
        "data": drawn_people, "background": "none", "data-dir": tmp_path / "data", "output": tmp_path / "model",
        "images": tmp_path / "images", "checkpoints": tmp_path / "checkpoints", "weights": "none", "epochs": 1,
        "pretraining-epochs": 1,
        "batch-size": 8, "min-epoch-images": 1, "min-images": 5, "steps": 1, "crop-mode": "centre",
        "landmarks": landmarks,
    }  # fmt: skip
    taken = {
        "explore": {"data", "background", "data-dir", "images", "min-images"},
        "detector": {"data", "background", "data-dir", "output", "checkpoints", "min-images", "steps", "crop-mode"},
        "landmarks": {"data", "background", "data-dir", "output", "checkpoints", "min-images", "steps"},
        "--backbone": {"data", "background", "data-dir", "output", "images", "min-images", "crop-mode", "landmarks"},
    }
    for command in (line for line in COMMANDS if "train.py" in line):
        given = command.replace("my_people/", str(drawn_people)).replace("--epochs 3", "--epochs 1")
        kind = next((name for name in taken if f"train.py {name}" in command), "")
        options = taken.get(kind, small.keys() - {"steps"})
        if "--teacher none" in command or "tune" in command:
            options = options - {"pretraining-epochs"}
        added = [f"--{name}={value}" for name, value in small.items() if name in options and f"--{name} " not in given]
        words = given.replace("uv run train.py", f"{sys.executable} {ROOT / 'train.py'}")
        words = words.replace("uv run torchrun", f"{sys.executable} -m torch.distributed.run --standalone")
        result = subprocess.run(
            [*shlex.split(words), *added],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},  # two processes would want two GPUs
        )
        if kind == "detector":  # which sees no face yet after one step, and says so
            assert result.stderr.splitlines()[-1].endswith("train it for longer (--steps).")
        elif kind == "landmarks":  # for which drawn faces are none, and it says so
            assert result.stderr.splitlines()[-1].endswith("add pictures of background people.")
        else:
            assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"


def test_every_setting_is_listed_with_its_default() -> None:
    table = (ROOT / "docs" / "service.md").read_text().split("## Settings")[1].split("\n\n")[1]
    listed = set(re.findall(r"`(FACEREC_\w+|API_KEY|PORT)`", table))
    fields = {str(field.validation_alias or f"FACEREC_{name.upper()}") for name, field in Settings.model_fields.items()}
    assert listed == fields
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, int | float) and name not in {"port"}:
            row = next(row for row in table.splitlines() if f"`FACEREC_{name.upper()}`" in row)
            assert f"| {field.default} |".lower() in row.lower()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_shows_or_links_to_is_there(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 250


def percent(text: str) -> float:
    """The number of a text such as `98.50 %`."""
    return float(text.removesuffix(" %"))


def test_its_metrics_are_the_reports() -> None:
    default, accurate, detector, landmarks = (
        json.loads((ROOT / "model" / f"{name}.json").read_text())
        for name in ("face_recognition", "face_recognition_accurate", "face_detector", "face_landmarks")
    )
    detected = detector["metrics"]
    section = README.split("## How good it is")[1].split("## Training")[0]
    rows = {name: rest.split(" | ") for name, rest in re.findall(r"^\| ([^|]+?) \| (.*) \|$", section, re.MULTILINE)}
    for column, report in enumerate((default, accurate)):
        metrics = report["metrics"]
        expected = {
            "top-1": metrics["top_1"]["value"],
            "top-1, mean of five folds": statistics.mean(fold["top_1"]["value"] for fold in report["folds"]),
            "macro recall": metrics["macro_recall"],
            "DIR at FAR 1 %": metrics["dir_at_far_1"]["value"],
            "DIR at FAR 10 %": metrics["dir_at_far_10"]["value"],
            "unknown people accepted as known": metrics["accepted_unknown"]["value"],
            "calibration error": metrics["ece"],
        }
        for enrolled in metrics["new_people"]:
            if enrolled["enrolled_images"] == 5:
                expected |= {
                    "new people enrolled with 5 images, top-1": enrolled["top_1"],
                    "the same, DIR at FAR 1 %": enrolled["dir_at_far_1"],
                }
        for name, value in expected.items():
            assert percent(rows[name][column]) == pytest.approx(100 * value, abs=0.0051), name
    for name, value in (
        ("faces of 40 pixels and more found", detected["recall"]["value"]),
        ("detections that are faces", detected["precision"]["value"]),
        ("distance of a point from dlib's", landmarks["metadata"]["metrics"]["test_mean"]),
    ):
        assert percent(rows[name][0]) == pytest.approx(100 * value, abs=0.0051), name


def test_the_comparison_of_the_recognizers_has_their_reports_metrics() -> None:
    document = (ROOT / "docs" / "models.md").read_text()
    default, accurate = (
        json.loads((ROOT / "model" / f"{name}.json").read_text())
        for name in ("face_recognition", "face_recognition_accurate")
    )

    def mean(report: dict[str, Any], metric: str) -> str:
        values = [fold[metric] for fold in report["folds"]]
        return f"{statistics.mean(value['value'] if isinstance(value, dict) else value for value in values):.2%}"

    for row, metric in {
        "top-1": "top_1",
        "macro recall": "macro_recall",
        "DIR at FAR 1 %": "dir_at_far_1",
        "DIR at FAR 10 %": "dir_at_far_10",
        "unknown people accepted": "accepted_unknown",
        "calibration error": "ece",
    }.items():
        values = " | ".join(mean(report, metric).replace("%", " %") for report in (default, accurate))
        assert f"| {row}, mean of five folds | {values} |" in document
    for both in zip(*(report["metrics"]["new_people"] for report in (default, accurate)), strict=True):
        line = next(line for line in document.splitlines() if f"new people, {both[0]['enrolled_images']} image" in line)
        cells = []
        for new in both:
            top_1, dir_at_far_1, dir_at_far_10 = (
                f"{new[metric]:.2%}".replace("%", " %") for metric in ("top_1", "dir_at_far_1", "dir_at_far_10")
            )
            cells.append(f"{top_1}; {dir_at_far_1} and {dir_at_far_10}")
        assert f"| {' | '.join(cells)} |" in line
    for row, people, metrics in (
        ("10 people, 1 and 5 images each", 10, ("false_accept_rate", "uncorrected")),
        ("100 people", 100, ("false_accept_rate", "uncorrected")),
        ("1,000 people", 1000, ("false_accept_rate", "uncorrected")),
        ("1,000 people and the 62", 1000, ("with_known",)),
    ):
        cells = []
        for report, metric in ((default, metrics[0]), *((accurate, metric) for metric in metrics)):
            galleries = [each for each in report["metrics"]["galleries"] if each["people"] == people]
            rates = {gallery["enrolled_images"]: gallery[metric] for gallery in galleries}
            cells.append(f"{rates[1]:.2%}; {rates[5]:.2%}".replace("%", " %"))
        assert f"| {row} | {' | '.join(cells)} |" in document
