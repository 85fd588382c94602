import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from facerec.inference.jobs import WorkerOptions
from facerec.labelling.archive import People, label_archive
from facerec.labelling.errors import OutputNotSupported, RayNotInstalled
from facerec.labelling.ray_cluster import label_on_cluster
from tests.labelling.toy_archive import stored, write_archive
from tests.shipped import ROOT

needs_ray = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs the extra `ray`")


@pytest.fixture
def marked() -> Iterator[dict[str, str]]:
    """The environment of a process whose descendants are found, and ended after the test."""
    environment = os.environ | {"FACEREC_TEST_RUN": uuid4().hex}
    yield environment
    for process in running(environment):
        with suppress(psutil.Error):
            process.kill()


def running(environment: dict[str, str]) -> list[psutil.Process]:
    """The processes that have this environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("FACEREC_TEST_RUN") == environment["FACEREC_TEST_RUN"]:
                found.append(process)
    return found


@needs_ray
@pytest.mark.slow
def test_the_rows_of_a_cluster_that_loses_a_machine_are_those_of_one_machine(
    tmp_path: Path, options: WorkerOptions, marked: dict[str, str]
) -> None:
    archive, gallery = write_archive(tmp_path / "archive", 150), tmp_path / "people.sqlite"
    files = (options.recognizer, options.detector, options.landmarks, gallery, archive, tmp_path / "cluster")
    run = subprocess.run(
        [sys.executable, "-m", "tests.labelling.cluster_run", *map(str, files)],
        cwd=ROOT,
        env=marked,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert json.loads(run.stdout) == {"nodes": [2], "found": 151, "pictures": 151}
    label_archive(archive, str(tmp_path / "local"), options, workers=1, people=People(gallery=gallery))
    assert stored(tmp_path / "cluster") == stored(tmp_path / "local")
    deadline = time.monotonic() + 20
    while left := running(marked):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


REFUSED = """
import sys
from facerec.labelling.errors import ClusterNotReached
from facerec.labelling.ray_cluster import label_on_cluster
try:
    label_on_cluster("photos", sys.argv[1], None, address=sys.argv[2])
except ClusterNotReached as error:
    print(error)
"""


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}", "nonsense"])
def test_an_address_without_a_cluster_is_refused_soon(tmp_path: Path, address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    run = subprocess.run(
        [sys.executable, "-c", REFUSED, str(tmp_path / "labels"), address.format(port=port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert "give the HOST:PORT that `ray start --head` printed" in run.stdout
    assert (run.stdout.count("\n"), run.stderr) == (1, "")
    assert not (tmp_path / "labels").exists()


def test_without_the_package_its_extra_is_named(
    tmp_path: Path, options: WorkerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayNotInstalled, match=r"pip install \"\.\[ray\]\""):
        label_on_cluster(tmp_path, str(tmp_path / "labels"), options, address="auto")
    assert not (tmp_path / "labels").exists()


def test_an_output_that_can_not_be_written_is_refused_first(tmp_path: Path, options: WorkerOptions) -> None:
    with pytest.raises(OutputNotSupported):
        label_on_cluster(tmp_path, "labels.xlsx", options, address="127.0.0.1:1")
