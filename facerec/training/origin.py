"""The origin of a model for its report: command, machine and version of the code."""

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from facerec.training.device import describe_machine
from facerec.training.distributed import world_size
from facerec.training.safe_text import printable, without_passwords


@dataclass(frozen=True)
class Origin:
    """The origin of a model.

    Attributes:
        command: the command line with which the run can be repeated, without the passwords of URLs.
        machine: the machine in words.
        commit: version of the code, with `-dirty` where files were changed; `None` outside of a git repository.
    """

    command: str
    machine: str
    commit: str | None

    @classmethod
    def of_this_run(cls, device: torch.device) -> "Origin":
        """The origin of a model that this process trains on `device`."""
        launcher = ["torchrun", f"--nproc-per-node={world_size()}"] if world_size() > 1 else []
        by_script = Path(sys.argv[0]).name == "train.py"
        installed = [*launcher, "-m", "facerec"] if launcher else ["facerec"]
        program = ["uv", "run", *launcher, "train.py"] if by_script else installed
        arguments = [printable(without_passwords(word)) for word in sys.argv[1:] if word != "--resume"]
        command = shlex.join([*program, *arguments])
        return cls(command, describe_machine(device), _commit())


def _commit() -> str | None:
    describe = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        result = subprocess.run(  # noqa: S603 - a fixed command
            describe, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
