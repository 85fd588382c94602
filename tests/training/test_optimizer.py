import itertools

from facerec.training.optimizer import adamw, warmup_and_cosine
from facerec.training.recognition.network import FaceNetwork


def test_the_learning_rate_rises_and_falls() -> None:
    factors = [warmup_and_cosine(100)(step) for step in range(100)]
    assert factors[:10] == [(step + 1) / 10 for step in range(10)]
    assert max(factors) == factors[10] == 1
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[10:]))
    assert factors[55] == 0.5
    assert factors[-1] < 0.001


def test_the_backbone_has_its_own_rate_and_vectors_do_not_decay() -> None:
    network = FaceNetwork(embedding_size=128, classes=3)
    network.freeze(unfrozen_blocks=3)
    groups = adamw(network, learning_rate=0.001, backbone_rate=2, weight_decay=0.05).param_groups
    by_parameter = {id(parameter): group for group in groups for parameter in group["params"]}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in by_parameter
            continue
        group = by_parameter[id(parameter)]
        assert group["lr"] == (0.002 if name.startswith("features.") else 0.001)
        assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0)
    assert sum(len(group["params"]) for group in groups) == len(by_parameter)
