"""A service as a process: started, watched through /proc (Linux only), and ended with all that it started."""

import os
import signal
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def running(command: list[str], variables: Mapping[str, str]) -> Iterator[int]:
    """`command` in the project's folder, its output thrown away; gives its process id."""
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        started = _tree(process.pid)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        for pid in started:  # those that did not go by themselves
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def has_ended(pid: int) -> bool:
    """Whether a process that this one started has ended."""
    try:
        return _status(pid, "State").startswith("Z")
    except OSError:
        return True


def wait_for_port(pid: int, port: int, *, seconds: float) -> bool:
    """Whether process `pid` comes to listen on `port` of loopback within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not has_ended(pid):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return True
    return False


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all that it started, in user and kernel mode; proc_pid_stat(5), to 10 ms."""
    total = 0
    for each in _tree(pid):
        with suppress(OSError):
            total += sum(map(int, _stat(each)[11:15]))  # of the process, and of its children that have ended
    return total / _TICKS


def resident_megabytes(pid: int) -> float:
    """Memory of a process and of all that it started; pages that they share count once for each."""
    return _sum(pid, "VmRSS")


def peak_megabytes(pid: int) -> float:
    """The same, the sum of each process's peak since it started or since `reset_peak`."""
    return _sum(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Let peaks count from now on; proc_pid_clear_refs(5)."""
    for each in _tree(pid):
        with suppress(OSError):
            Path(f"/proc/{each}/clear_refs").write_text("5")


def _sum(pid: int, field: str) -> float:
    total = 0.0
    for each in _tree(pid):
        with suppress(OSError, StopIteration):
            total += int(_status(each, field).split()[0]) * 1024 / 1e6
    return total


def _tree(pid: int) -> list[int]:
    """`pid` and its descendants."""
    children = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            children[int(_stat(int(folder.name))[1])].append(int(folder.name))
    tree = [pid]
    for each in tree:  # grows meanwhile
        tree += children[each]
    return tree


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third, the state, on: the second may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _status(pid: int, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:"))
