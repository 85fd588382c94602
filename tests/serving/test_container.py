"""What the Dockerfile promises, as far as it can be seen without a Docker engine."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.harness import ROOT, free_port, process, ready, wait_until
from tests.harness import picture as picture_file

# A mount namespace in which everything but TMPDIR is read-only, as under `docker run --read-only --tmpfs /tmp`.
READ_ONLY = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount -o remount,ro,bind / && mount -t tmpfs none "${TMPDIR:-/tmp}" && exec "$@"',
    "sh",
]
CAN_ISOLATE = (
    Path("/proc/self/ns/mnt").exists()
    and not subprocess.run(
        [*READ_ONLY, "sh", "-c", f"! touch {ROOT}/written"], capture_output=True, check=False
    ).returncode
)


@pytest.mark.skipif(not CAN_ISOLATE, reason="making a read-only mount namespace needs root")
def test_the_service_runs_on_a_read_only_file_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FACEREC_LOCATOR", "FACEREC_LANDMARKS"):  # the shipped ones
        monkeypatch.delenv(name)
    port = free_port()
    with process([*READ_ONLY, sys.executable, "predict.py"], {"PORT": str(port), "TMPDIR": str(tmp_path)}) as running:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: ready(address) or running.poll() is not None, seconds=60)
        assert running.poll() is None, running.communicate()[0]
        large = picture_file(size=(3000, 2000), file_format="BMP")  # more than Starlette alone keeps in memory
        for picture in (picture_file(), large[: 9 * 2**20]):
            answer = requests.post(f"{address}/predict/upload", files={"file": picture}, timeout=60)
            assert answer.status_code in {200, 415}


def test_the_image_runs_one_process_as_a_user_without_rights() -> None:
    instructions = re.findall(r"^([A-Z]+) (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    final = dict(instructions)
    user, _, group = final["USER"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert json.loads(final["CMD"]) == ["python", "predict.py"], "without a shell in between SIGTERM arrives"
