import itertools

import torch

from facerec.learning.network import FaceNetwork
from facerec.learning.optimisation import update_average, warmup_and_cosine


def test_the_learning_rate_rises_and_falls() -> None:
    factors = [warmup_and_cosine(100)(step) for step in range(100)]
    assert factors[:10] == [(step + 1) / 10 for step in range(10)]
    assert max(factors) == factors[10] == 1
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[10:]))
    assert factors[55] == 0.5
    assert factors[-1] < 0.001


def test_the_average_of_weights() -> None:
    network = FaceNetwork(embedding_size=128, classes=3)
    average = FaceNetwork(embedding_size=128, classes=3)
    weight = network.classifier.weight.detach()
    before = average.classifier.weight.detach().clone()
    update_average(average, network, decay=0.9, steps=1000)
    assert torch.allclose(average.classifier.weight, 0.9 * before + 0.1 * weight, atol=1e-6)
    update_average(average, network, decay=0.9, steps=0)
    assert torch.allclose(average.classifier.weight, 0.9 * weight + 0.1 * (0.9 * before + 0.1 * weight), atol=1e-6)
