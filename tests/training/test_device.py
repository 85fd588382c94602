import re

import pytest
import torch

from facerec.training.device import describe_machine


@pytest.mark.parametrize(("device", "pattern"), [("cpu", r"CPU, \d+ threads on \d+ cores"), ("mps", r"GPU \(MPS\)")])
def test_the_description_names_processor_and_torch(device: str, pattern: str) -> None:
    description = describe_machine(torch.device(device))
    assert re.search(pattern, description)
    assert description.endswith(f", torch {torch.__version__}")
