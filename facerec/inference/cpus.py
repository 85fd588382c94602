"""The number of CPUs that this process may use, which can be less than the machine has."""

import os
from pathlib import Path


def available_cpus(root: Path = Path("/")) -> int:
    """CPUs of the process's affinity, limited by its cgroup quota (rounded down); at least 1.

    Args:
        root: the folder in which `proc` and `sys` are mounted.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([affinity, *_quotas(root)])))


def _quotas(root: Path) -> list[float]:
    """CPU quotas of the process's cgroup and of all its ancestors, in CPUs.

    Source: cgroups(7); `cpu.max` in cgroup v2, `cpu.cfs_quota_us` and `cpu.cfs_period_us` in v1.
    """
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return []
    quotas = []
    for membership in memberships:
        _, controllers, group = membership.split(":", 2)
        if controllers == "":
            mount, read = root / "sys/fs/cgroup", _quota_v2
        elif "cpu" in controllers.split(","):
            mount, read = root / "sys/fs/cgroup/cpu", _quota_v1
        else:
            continue
        directory = mount / group.lstrip("/")
        for level in (directory, *directory.parents):
            if level.is_relative_to(mount):
                quotas += read(level)
    return quotas


def _quota_v2(group: Path) -> list[float]:
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except OSError:  # the root group has no limit, and a container may not see its own path
        return []
    return [] if quota == "max" else [int(quota) / int(period)]


def _quota_v1(group: Path) -> list[float]:
    try:
        quota = int((group / "cpu.cfs_quota_us").read_text())
        period = int((group / "cpu.cfs_period_us").read_text())
    except OSError:
        return []
    return [] if quota < 0 else [quota / period]
