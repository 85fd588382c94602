import os
from pathlib import Path

import pytest

from facerec.inference.cpus import available_cpus

NOT_LINUX = Path("/nonexistent")


@pytest.fixture
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def cgroups(root: Path, membership: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": membership, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.usefixtures("eight_cpus")
def test_without_a_quota_the_affinity_counts() -> None:
    assert available_cpus(NOT_LINUX) == 8


@pytest.mark.usefixtures("eight_cpus")
@pytest.mark.parametrize(
    ("cpu_max", "cpus"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("10000 100000", 1),
        ("1600000 100000", 8),
    ],
)
def test_quota_of_cgroup_v2(tmp_path: Path, cpu_max: str, cpus: int) -> None:
    root = cgroups(tmp_path, "0::/app/worker", {"sys/fs/cgroup/app/worker/cpu.max": cpu_max})
    assert available_cpus(root) == cpus


@pytest.mark.usefixtures("eight_cpus")
def test_an_ancestors_quota_counts_too(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/app/cpu.max": "300000 100000", "sys/fs/cgroup/app/worker/cpu.max": "max 100000"}
    assert available_cpus(cgroups(tmp_path, "0::/app/worker", files)) == 3


@pytest.mark.usefixtures("eight_cpus")
@pytest.mark.parametrize(("quota", "cpus"), [("-1", 8), ("200000", 2)])
def test_quota_of_cgroup_v1(tmp_path: Path, quota: str, cpus: int) -> None:
    files = {"sys/fs/cgroup/cpu/app/cpu.cfs_quota_us": quota, "sys/fs/cgroup/cpu/app/cpu.cfs_period_us": "100000"}
    assert available_cpus(cgroups(tmp_path, "5:cpu,cpuacct:/app\n3:memory:/app", files)) == cpus
