import pytest
import torch
from torch.nn import functional

from facerec.training.backbone import BLOCKS
from facerec.training.recognition.loss import cosine_margin_loss
from facerec.training.recognition.network import (
    INPUT_SIZE,
    VIEW_SIZE,
    FaceNetwork,
    preprocess,
)


@pytest.fixture(scope="module")
def network() -> FaceNetwork:
    torch.manual_seed(0)
    return FaceNetwork(embedding_size=128, classes=7).eval()


def test_preprocess_cuts_the_centre_enlarges_and_normalizes_it() -> None:
    crops = torch.zeros(1, 250, 250, 3, dtype=torch.uint8)
    start, stop = (250 - VIEW_SIZE) // 2, (250 + VIEW_SIZE) // 2
    crops[0, start:stop, start:stop] = torch.tensor([255, 128, 0], dtype=torch.uint8)
    images = preprocess(crops)
    assert images.shape == (1, 3, INPUT_SIZE, INPUT_SIZE)
    expected = torch.tensor([(1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (0 - 0.406) / 0.225])
    assert torch.allclose(images, expected.view(1, 3, 1, 1).expand_as(images), atol=1e-4)
    crops[0, start, start] = 0
    images = preprocess(crops)
    assert (images[0, 0, 0, 0] < expected[0]).all(), "the crop reaches to its corner"
    assert torch.allclose(
        images[0, :, 8:, 8:], expected.view(3, 1, 1).expand(3, INPUT_SIZE - 8, INPUT_SIZE - 8), atol=1e-4
    )


@torch.inference_mode()
def test_similarities_are_cosines_of_unit_embeddings(network: FaceNetwork) -> None:
    images = torch.randn(3, 3, 64, 64)
    embeddings, similarities = network.embed(images), network(images)
    assert embeddings.norm(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    expected = functional.cosine_similarity(embeddings[:, None], network.classifier.weight[None], dim=2)
    assert torch.allclose(similarities, expected, atol=1e-5)


@pytest.mark.parametrize("unfrozen", [0, 3, BLOCKS])
def test_frozen_blocks_stay_as_they_were(unfrozen: int) -> None:
    network = FaceNetwork(embedding_size=128, classes=3)
    network.freeze(unfrozen_blocks=unfrozen)
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1.0)
    similarities = network(torch.randn(4, 3, 64, 64))
    cosine_margin_loss(similarities, torch.tensor([0, 1, 2, 0]), margin=0.2, scale=16).backward()
    optimizer.step()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    blocks = {int(name.split(".")[1]) for name in changed if name.startswith("features.")}
    assert blocks == set(range(BLOCKS - unfrozen, BLOCKS))
    assert "classifier.weight" in changed
    assert "head.0.weight" in changed
