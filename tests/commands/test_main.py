"""The command line itself: help, completion, exit statuses, what is imported for what."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from facerec.people.location import VARIABLE
from tests.commands.conftest import Command
from tests.harness import ROOT, free_port, process, ready, wait_until

HEAVY = ("torch", "fastapi", "onnxruntime", "matplotlib", "pyarrow")


def python(code: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in another process, elsewhere than in the project's folder."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments", [["--help"], ["people", "list"], ["people", "add", "--help"], ["train", "--help"], ["label", "--help"]]
)
def test_help_and_the_list_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from facerec.commands.main import main; sys.argv[0] = 'facerec'\n"
        "try: main()\n"
        f"finally: print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = python(code, *arguments, **{VARIABLE: str(tmp_path / "people.sqlite")})
    assert done.stdout.splitlines()[-1] == "heavy: []", done.stderr
    assert done.returncode == (1 if arguments == ["people", "list"] else 0)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bake"],
        ["people"],
        ["people", "add"],
        ["people", "add", "x", "--fast"],
        ["verify", "a"],
        ["train", "--x"],
        ["label", "a"],
    ],
)
def test_a_wrong_command_line_ends_with_status_2(facerec: Command, arguments: list[str]) -> None:
    done = facerec(*arguments)
    assert done.code == 2
    assert done.err


def test_the_help_lists_the_commands(facerec: Command) -> None:
    done = facerec("--help")
    assert done.code == 0
    for name in ("serve", "people", "verify", "label", "unlabel", "train"):
        assert any(re.search(rf"^\W+{name} ", line) for line in done.out), done.out
    assert "--min-images" in "\n".join(facerec("train", "--help").out)
    assert facerec("train", "explore", "--help").out[0].startswith("usage: facerec train explore")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_it_prints_a_completion_for_the_shell(facerec: Command, shell: str, tmp_path: Path) -> None:
    done = facerec("--tyro-print-completion", shell)
    assert done.code == 0
    script = "\n".join(done.out)
    assert "export" in script
    assert "--force" in script


def test_training_without_its_packages_says_in_one_line_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from facerec.commands.main import main; sys.argv = ['facerec', 'train']; main()"
    )
    done = python(code)
    assert done.returncode == 1
    assert done.stderr == (
        'facerec: training needs further packages, such as torch: install them with `pip install ".[train]"` in the '
        "folder of the project\n"
    )


def test_errors_of_training_are_one_line(facerec: Command) -> None:
    done = facerec("train", "--min-images", "4")
    assert (done.code, done.err) == (1, ["facerec: --min-images must be at least 5, and is 4."])


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "facerec", "--help"], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "facerec", "serve"]
    variables = {"PORT": str(port), "FACEREC_WORKERS": "1", VARIABLE: str(tmp_path / "people.sqlite")}
    with process(command, variables) as running:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: ready(address) or running.poll() is not None, seconds=60)
        assert running.poll() is None, running.communicate()[0]
        assert requests.get(f"{address}/model", timeout=10).status_code == 200
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=30) == 0


def test_a_wrong_setting_stops_the_service_with_one_line(facerec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_NO_SUCH", "1")
    done = python("from facerec.commands.main import main; import sys; sys.argv = ['facerec', 'serve']; main()")
    assert (done.returncode, done.stderr) == (1, "FACEREC_NO_SUCH: no such setting\n")


def test_ctrl_c_that_leaves_a_coroutine_behind_says_no_more_than_another() -> None:
    """Ctrl-C may strike between the making of a coroutine and its first step."""
    code = (
        "import facerec.commands.main as module\n"
        "async def work(): ...\n"
        "left = []\n"
        "def interrupted(arguments):\n"
        "    left.append(work())\n"
        "    raise KeyboardInterrupt\n"
        "module.run = interrupted\n"
        "module.main()\n"
    )
    result = python(code)
    assert (result.returncode, result.stderr) == (130, "facerec: stopped\n")
