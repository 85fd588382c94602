"""The services that are compared: how each is started, and where it takes pictures."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import distributions
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from benchmarks.processes import free_port, running, wait_for_port
from benchmarks.results import installed

SHARED = ("numpy", "onnxruntime", "pillow", "requests")
"""Packages that all contenders use, in the same versions."""


class Absent(Exception):
    """A contender can't take part. The message says why."""


@dataclass(frozen=True)
class Contender:
    """A service. Its arguments and variables name `{port}`, where it listens, and `{pictures}`, the pictures' port."""

    name: str
    arguments: tuple[str, ...]
    """Of Python."""
    variables: dict[str, str] = field(default_factory=dict)
    upload_path: str = "/predict/upload"
    fields: dict[str, str] = field(default_factory=dict)
    """What each request carries beside its picture."""
    limit: str = "limit"
    """The one of `benchmarks.limit` that does the same work."""
    packages: tuple[str, ...] = ()
    """What it needs that the project does not, itself first: it then runs in an environment of its own."""


OURS = Contender(
    "this service",
    ("predict.py",),
    {
        "PORT": "{port}",
        "FACEREC_HOST": "127.0.0.1",
        "FACEREC_ALLOWED_NETWORKS": "127.0.0.1/32",
        "FACEREC_ALLOWED_PORTS": "{pictures}",
    },
    fields={"framing": "centre"},
)
CONTENDERS = {
    "ours": OURS,
    "auto": replace(OURS, name="this service, framing=auto", fields={"framing": "auto"}, limit="limit, framing=auto"),
    "obvious": Contender("the obvious service", ("-m", "uvicorn", "benchmarks.obvious:app", "--port", "{port}")),
    "litserve": Contender(
        "LitServe",
        ("-m", "benchmarks.litserve_app", "{port}"),
        upload_path="/predict",
        packages=("litserve", "python-multipart"),
    ),
    "bentoml": Contender(
        "BentoML",
        ("-m", "bentoml", "serve", "benchmarks.bentoml_app:Faces", "--port", "{port}"),
        {"BENTOML_DO_NOT_TRACK": "True"},
        packages=("bentoml",),
    ),
}
Key = Literal["ours", "auto", "obvious", "litserve", "bentoml"]


def python_for(contender: Contender, folder: Path) -> Path:
    """The Python that runs `contender`: the project's own, or one in an environment that is made in `folder`.

    Raises:
        Absent: the environment can't be made.
    """
    if not contender.packages:
        return Path(sys.executable)
    environment = folder / contender.packages[0]
    if environment.exists():
        return environment / "bin/python"
    shared = [f"{package}=={version}" for package, version in installed(*SHARED).items()]
    for command in (
        ["uv", "venv", "--quiet", "--python", sys.executable, str(environment)],
        ["uv", "pip", "install", "--quiet", "--python", str(environment), *contender.packages, *shared],
    ):
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise Absent(f"can't be installed: {made.stderr.strip().splitlines()[-1]}")
    return environment / "bin/python"


def versions(folder: Path) -> dict[str, str]:
    """Name and version of what `python_for` made environments for."""
    return {
        distribution.name: distribution.version
        for environment in folder.iterdir()
        for distribution in distributions(
            name=environment.name, path=[str(path) for path in environment.glob("lib/*/site-packages")]
        )
    }


@contextmanager
def serving(
    contender: Contender, python: Path, *, pictures_port: int, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[int, int]]:
    """The contender, listening; gives its process id and its port. `variables` are further ones.

    Raises:
        Absent: it does not come to listen.
    """
    ports = {"port": free_port(), "pictures": pictures_port}
    own = {name: value.format(**ports) for name, value in contender.variables.items()}
    with running([str(python), *(word.format(**ports) for word in contender.arguments)], {**own, **variables}) as pid:
        if not wait_for_port(pid, ports["port"], seconds=60):
            raise Absent("does not start")
        yield pid, ports["port"]
