"""The installed package: the wheel in an environment of its own, used from another folder than the project's."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import requests

from tests.harness import free_port, process, ready, wait_until
from tests.shipped import ROOT
from tests.training.landmarks.photograph import photograph

pytestmark = pytest.mark.slow


def command(*words: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command, which must succeed, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command("uv", "build", "--quiet", "--wheel", "--out-dir", folder, ROOT, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that has the wheel, and nothing of training."""
    folder = tmp_path_factory.mktemp("environment")
    command("uv", "venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
    programs = folder / "venv" / "bin"
    command("uv", "pip", "install", "--quiet", "--python", programs / "python", wheel, cwd=folder)
    return programs


def test_the_wheel_holds_the_code_and_the_models_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        models = {Path(name).name: archive.read(name) for name in names if name.startswith("facerec/model/")}
    assert models.keys() == {path.name for pattern in ("*.onnx", "*.sha256") for path in ROOT.glob(f"model/{pattern}")}
    assert all(content == (ROOT / "model" / name).read_bytes() for name, content in models.items())
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "facerec").rglob("*") if path.is_file()}
    shipped = {name for name in names if not name.startswith("facerec/model/") and ".dist-info/" not in name}
    assert shipped == {name for name in code if "__pycache__" not in name}
    assert any(name.endswith("licenses/LICENSES/BSL-1.0.txt") for name in names)


def test_the_installed_command_enrols_verifies_and_serves(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "people" / "Grace Hopper").mkdir(parents=True)
    photograph().save(photo := tmp_path / "people" / "Grace Hopper" / "photo.jpg", quality=95)
    gallery = {"FACEREC_GALLERY": str(tmp_path / "people.sqlite")}
    facerec = installed / "facerec"
    assert "serve" in command(facerec, "--help", cwd=tmp_path)
    assert "--min-images" in command(facerec, "train", "--help", cwd=tmp_path)
    added = command(facerec, "people", "add", "people", cwd=tmp_path, **gallery)
    assert added.splitlines()[1] == "Grace Hopper      1      0        0"
    assert command(facerec, "verify", photo, photo, cwd=tmp_path, **gallery).startswith("The same person: ")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    variables = gallery | {"PORT": str(port), "FACEREC_WORKERS": "1"}
    (tmp_path / "numpy.py").write_text("raise SystemExit('a file of the current folder is imported')")
    with process([str(facerec), "serve"], variables, cwd=tmp_path) as running:
        wait_until(lambda: ready(address) or running.poll() is not None, seconds=60)
        assert running.poll() is None, running.communicate()[0]
        answer = requests.post(f"{address}/predict/upload", files={"file": photo.read_bytes()}, timeout=60)
    assert answer.json()["identity"] == "Grace Hopper"


def test_the_installed_api_recognizes(installed: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "photo.jpg", quality=95)
    code = "from facerec import Recognizer; print(Recognizer.load(model='accurate').recognize('photo.jpg')[0].identity)"
    gallery = str(tmp_path / "people.sqlite")
    assert command(installed / "python", "-c", code, cwd=tmp_path, FACEREC_GALLERY=gallery) == "None\n"


def test_training_says_what_it_needs(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed / "facerec", "train"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("facerec: training needs further packages, such as ")
    assert done.stderr.count("\n") == 1
