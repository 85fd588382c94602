from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torchvision.models import mobilenet_v3_large

from facerec.learning.errors import DataError
from facerec.learning.margin import CosineClassifier, cosine_margin_loss
from facerec.learning.network import (
    BLOCKS,
    CROP_SIZE,
    INPUT_SIZE,
    FaceNetwork,
    describe_start,
    load_backbone,
    preprocess,
)


@pytest.fixture(scope="module")
def network() -> FaceNetwork:
    torch.manual_seed(0)
    return FaceNetwork(embedding_size=128, classes=7).eval()


def test_preprocess_cuts_the_centre_enlarges_and_normalises_it() -> None:
    frames = torch.zeros(1, 250, 250, 3, dtype=torch.uint8)
    start, stop = (250 - CROP_SIZE) // 2, (250 + CROP_SIZE) // 2
    frames[0, start:stop, start:stop] = torch.tensor([255, 128, 0], dtype=torch.uint8)
    images = preprocess(frames)
    assert images.shape == (1, 3, INPUT_SIZE, INPUT_SIZE)
    expected = torch.tensor([(1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (0 - 0.406) / 0.225])
    assert torch.allclose(images, expected.view(1, 3, 1, 1).expand_as(images), atol=1e-4)
    frames[0, start, start] = 0
    images = preprocess(frames)
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


def test_backbone_from_a_whole_state_dict_or_its_features(tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole = mobilenet_v3_large().state_dict()
    torch.save(whole, tmp_path / "whole.pth")
    torch.save({name: tensor for name, tensor in whole.items() if name.startswith("features.")}, tmp_path / "part.pth")
    for file in ("whole.pth", "part.pth"):
        network = FaceNetwork(embedding_size=128, classes=3)
        load_backbone(network, tmp_path / file)
        assert torch.equal(network.features[0][0].weight, whole["features.0.0.weight"])


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint", {"head": torch.zeros(3)}, {"features.0": 1}, [1]])
def test_weights_that_do_not_fit(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(DataError, match=r"can't load the backbone's weights from .*weights\.pth"):
        load_backbone(FaceNetwork(embedding_size=128, classes=3), path)


def test_the_margin_lowers_the_right_similarity() -> None:
    similarities = torch.tensor([[0.8, 0.1], [0.3, 0.6]])
    labels = torch.tensor([0, 1])
    loss = cosine_margin_loss(similarities, labels, margin=0.25, scale=10)
    lowered = torch.tensor([[0.55, 0.1], [0.3, 0.35]])
    assert loss.item() == pytest.approx(functional.cross_entropy(10 * lowered, labels).item())


def test_the_classifier_sees_directions_only() -> None:
    classifier = CosineClassifier(embedding_size=16, classes=5)
    embeddings = functional.normalize(torch.randn(3, 16))
    before = classifier(embeddings)
    with torch.no_grad():
        classifier.weight.mul_(7)
    assert torch.allclose(classifier(embeddings), before, atol=1e-6)


def test_the_start_is_described_with_its_licence() -> None:
    assert (
        describe_start(Path("a/start.pth"), licence="GPL-3.0")
        == "started from start.pth and carries its licence: GPL-3.0"
    )
    assert "BSD-3-Clause" in describe_start("imagenet", licence="unknown")
    assert "random" in describe_start("none", licence="unknown")
