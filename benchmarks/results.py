"""Where figures go: the terminal, `results/NAME.json`, and NAME's section of README.md; none is typed by hand."""

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import JsonValue

_HERE = Path(__file__).parent


def publish(name: str, figures: Mapping[str, JsonValue], markdown: str, *, packages: Mapping[str, str]) -> None:
    """Print the tables `markdown`, and write them and the `figures` that they were made of.

    `packages` are those that decide the figures, with their versions.
    """
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    command = shlex.join(["uv", "run", "-m", f"benchmarks.{name}", *sys.argv[1:]])
    machine = _machine()
    versions = {"Python": platform.python_version(), **packages}
    listed = ", ".join(f"{package} {number}" for package, number in versions.items())
    section = f"{markdown}\n\nMeasured on {date} with `{command}` on {machine}; {listed}."
    print(f"\n{section}")
    file = _HERE / "results" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    about = {"date": date, "command": command, "machine": machine, "versions": versions}
    file.write_text(json.dumps(about | dict(figures), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    readme = _HERE / "README.md"
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = readme.read_text(encoding="utf-8").partition(start)
    readme.write_text(f"{before}{start}\n{section}\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def installed(*packages: str) -> dict[str, str]:
    """The versions of packages of this environment."""
    return {package: version(package) for package in packages}


def table(columns: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> str:
    """A Markdown table: words to the left, numbers to the right, three digits of them."""
    lines = [
        columns,
        ["---" if any(isinstance(cell, str) for cell in column) else "---:" for column in zip(*rows, strict=True)],
        *([_cell(cell) for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: str | float | None) -> str:
    if isinstance(value, str | None):
        return value or ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB"
