from pathlib import Path

import pytest
import torch
from torchvision.models import mobilenet_v3_large

from facerec.training.backbone import load_backbone
from facerec.training.errors import DataError
from facerec.training.recognition.network import FaceNetwork


def test_a_state_dict_may_hold_the_whole_network_or_its_features(tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole = mobilenet_v3_large().state_dict()
    torch.save(whole, tmp_path / "whole.pth")
    torch.save({name: tensor for name, tensor in whole.items() if name.startswith("features.")}, tmp_path / "part.pth")
    for file in ("whole.pth", "part.pth"):
        network = FaceNetwork(embedding_size=128, classes=3)
        load_backbone(network, tmp_path / file)
        assert torch.equal(network.features[0][0].weight, whole["features.0.0.weight"])


@pytest.mark.parametrize("state", [{"head": torch.zeros(3)}, {"features.0": 1}])
def test_a_state_dict_that_is_not_the_network_s_is_an_error(tmp_path: Path, state: dict[str, object]) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    with pytest.raises(DataError, match=r"can't load the backbone's weights from .*weights\.pth"):
        load_backbone(FaceNetwork(embedding_size=128, classes=3), path)
