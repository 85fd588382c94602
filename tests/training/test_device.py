import re

import pytest
import torch

from facerec.training.device import describe_machine


@pytest.mark.parametrize(("device", "named"), [("cpu", r"CPU, \d+ threads on \d+ cores"), ("mps", r"GPU \(MPS\)")])
def test_the_machine_in_words(device: str, named: str) -> None:
    words = describe_machine(torch.device(device))
    assert re.search(named, words)
    assert words.endswith(f", torch {torch.__version__}")
