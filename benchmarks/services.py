"""The services that are measured: how each is started, and the CPU time and memory that it uses (Linux only)."""

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import psutil

from facerec.inference.cropping import CropMode
from tests.harness import free_port, process, wait_until


@dataclass(frozen=True)
class Service:
    """A service that takes uploads at `/predict/upload` and URLs at `/predict`."""

    name: str
    arguments: tuple[str, ...]  # of Python; {port} stands for the port to listen on
    variables: dict[str, str] = field(default_factory=dict)  # {picture_port}: the port of the pictures' URLs
    fields: dict[str, str] = field(default_factory=dict)  # fields of each request beside its picture
    crop_mode: CropMode = "centre"  # crop mode of the upper bound that does the same work


SETTINGS = {"PORT": "{port}", "FACEREC_HOST": "127.0.0.1"}
SETTINGS |= {"FACEREC_ALLOWED_NETWORKS": "127.0.0.1/32", "FACEREC_ALLOWED_PORTS": "{picture_port}"}
CENTRE = Service("this service", ("predict.py",), SETTINGS, {"framing": "centre"})
AUTO = replace(CENTRE, name="this service, framing=auto", fields={"framing": "auto"}, crop_mode="detect")
BASELINE = Service("baseline", ("-m", "uvicorn", "benchmarks.baseline:app", "--port", "{port}"))


@contextmanager
def running(service: Service, *, picture_port: int = 1) -> Iterator[tuple[int, int]]:
    """Run `service`; yields its process id and port once it listens."""
    ports = {"port": free_port(), "picture_port": picture_port}
    command = [sys.executable, *(argument.format(**ports) for argument in service.arguments)]
    variables = {name: value.format(**ports) for name, value in service.variables.items()}
    with process(command, variables, discard_output=True) as started:
        wait_until(lambda: started.poll() is not None or _listens(ports["port"]), seconds=60)
        assert started.poll() is None, f"{' '.join(service.arguments)} ends at once: run it by itself to see why"
        try:
            yield started.pid, ports["port"]
        finally:
            started.terminate()  # a service that is killed could not end its own processes
            started.wait(timeout=30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process and its descendants have used, in user and kernel mode, to 10 ms."""
    return sum(sum(each.cpu_times()[:4]) for each in _tree(pid))


def memory_mb(pid: int, kind: Literal["VmRSS", "VmHWM"]) -> float:
    """Resident memory of a process and its descendants in MB: now (VmRSS), or the sum of their peaks (VmHWM)."""
    statuses = [Path(f"/proc/{each.pid}/status").read_text() for each in _tree(pid)]
    return sum(int(kb) for status in statuses for kb in re.findall(rf"{kind}:\s+(\d+) kB", status)) * 1024 / 1e6


def reset_peak_memory(pid: int) -> None:
    """Measure peaks of memory from now on; proc_pid_clear_refs(5)."""
    for each in _tree(pid):
        Path(f"/proc/{each.pid}/clear_refs").write_text("5")


def _tree(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
