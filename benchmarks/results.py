"""Where results go: the terminal, `results/NAME.json`, and the section NAME of README.md."""

import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = ("fastapi", "uvicorn", "numpy", "onnxruntime", "pillow", "requests", "torch", "torchvision")


def publish(name: str, results: Mapping[str, object], tables: str, *, packages: Sequence[str] = PACKAGES) -> None:
    """Publish `results` of the benchmark `name` and the Markdown `tables` of them, with date, command and versions.

    `packages` are those whose versions decide the results.
    """
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    command = shlex.join(["uv", "run", "-m", f"benchmarks.{name}", *sys.argv[1:]])
    versions = {"Python": platform.python_version()} | {package: version(package) for package in packages}
    listed = ", ".join(f"{package} {number}" for package, number in versions.items())
    section = f"{tables}\n\nMeasured on {date} with `{command}` on {_machine()}; {listed}."
    print(f"\n{section}")
    about = {"date": date, "command": command, "machine": _machine(), "versions": versions}
    content = json.dumps({**about, **results}, indent=1, ensure_ascii=False)
    (HERE / "results" / f"{name}.json").write_text(f"{content}\n", encoding="utf-8")
    readme = HERE / "README.md"
    before, start, _, end, after = re.split(rf"(<!-- /?{name} -->)", readme.read_text(encoding="utf-8"))
    readme.write_text(f"{before}{start}\n\n{section}\n\n{end}{after}", encoding="utf-8")


def table(columns: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> str:
    """A Markdown table. Columns with words are aligned left, columns of numbers right; numbers have three digits."""
    words = [any(isinstance(value, str) for value in column) for column in zip(*rows, strict=True)]
    lines = [columns, ["---" if each else "---:" for each in words], *([*map(_shown, row)] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: str | float | None) -> str:
    if isinstance(value, str | None):
        return value or ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _machine() -> str:
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {models[0] if models else platform.machine()}, {memory:.0f} GiB"
