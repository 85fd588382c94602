import os
import sys

import pytest
import torch

from facerec.training.origin import Origin


def test_the_command_holds_no_password_and_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--resume", "--data", os.fsdecode(b"/M\xfcller"), "--x=postgresql://me:secret@db/faces"]
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    command = Origin.of_this_run(torch.device("cpu")).command
    assert command == r"uv run train.py --data '/M\xfcller' '--x=postgresql://me:***@db/faces'"


def test_the_command_of_the_installed_package_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("/usr/bin/facerec", "/lib/facerec/__main__.py"):
        monkeypatch.setattr(sys, "argv", [program, "train", "--resume", "--folds", "5"])
        assert Origin.of_this_run(torch.device("cpu")).command == "facerec train --folds 5"
