"""Which package may import which: the arrows of the house, and nothing else."""

import ast
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shipped import ROOT

ALLOWED = {
    "atomic_write": set(),
    "errors": set(),
    "text": set(),
    "pictures": {"errors"},
    "inference": {"errors", "pictures"},
    "training": {"atomic_write", "errors", "text", "pictures", "inference"},
    "people": {"atomic_write", "errors", "text", "pictures", "inference"},
    "labelling": {"atomic_write", "errors", "pictures", "inference", "people"},
    "serving": {"errors", "pictures", "inference", "people"},
    "models": {"errors", "pictures", "inference", "people"},
    "recognizer": {"errors", "pictures", "inference", "people", "models"},
    "labels": {"errors", "pictures", "inference", "people", "models", "labelling"},
    "commands": {
        *("errors", "pictures", "inference", "people", "models", "recognizer"),
        *("labelling", "training", "serving"),
    },
}
"""For each package and module, what it may import of the others."""

HEAVY = {"torch", "torchvision", "onnx", "pandas", "matplotlib", "sklearn", "scipy", "optuna"}
WEB = {"fastapi", "starlette", "uvicorn", "pydantic_settings", "prometheus_client"}


def imported_modules(path: Path) -> set[str]:
    """The names of all modules that a file imports anywhere, with the names that are imported from them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files(package: str) -> list[Path]:
    """The Python files of a package, or the file of a module."""
    module = ROOT / "facerec" / f"{package}.py"
    return [module] if module.exists() else sorted((ROOT / "facerec" / package).rglob("*.py"))


def test_every_package_has_its_arrows() -> None:
    found = {path.stem for path in (ROOT / "facerec").iterdir() if not path.name.startswith("__")}
    assert found == ALLOWED.keys()


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_along_the_arrows_alone(package: str) -> None:
    for path in files(package):
        for name in imported_modules(path):
            top, _, rest = name.partition(".")
            if top == "facerec":
                other = rest.partition(".")[0]
                assert other in {package, "__version__"} | ALLOWED[package], f"{path} imports {name}"


@pytest.mark.parametrize(
    "package", ["pictures", "inference", "people", "labelling", "models", "recognizer", "labels", "commands"]
)
def test_what_recognizes_knows_neither_torch_nor_a_web_framework(package: str) -> None:
    for path in files(package):
        tops = {name.partition(".")[0] for name in imported_modules(path)}
        assert not tops & (HEAVY | WEB), f"{path} imports {tops & (HEAVY | WEB)}"


def test_the_wings_of_training_do_not_know_each_other() -> None:
    for wing, other in itertools.permutations(("recognition", "detection", "landmarks"), 2):
        for path in (ROOT / "facerec" / "training" / wing).glob("*.py"):
            assert not any(name.startswith(f"facerec.training.{other}") for name in imported_modules(path)), path


def test_inference_runs_without_torch_and_web_framework() -> None:
    code = "import sys, facerec.inference.pipeline; sys.exit(', '.join(sorted({names} & sys.modules.keys())) or 0)"
    result = subprocess.run(
        [sys.executable, "-c", code.replace("{names}", repr(HEAVY | {"fastapi", "starlette", "uvicorn"}))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
