import pytest
import torch
from torch.nn import functional

from facerec.training.recognition.loss import CosineClassifier, cosine_margin_loss


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
