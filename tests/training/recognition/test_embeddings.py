import numpy as np
import pytest
import torch

from facerec.training.recognition.embeddings import Embeddings, embed, template
from tests.training.recognition.table_network import TableNetwork, table_crops

TABLE = torch.nn.functional.normalize(torch.randn(200, 4, generator=torch.Generator().manual_seed(0)))
ROWS, MIRRORED_ROWS = list(range(100)), list(range(100, 200))


def test_each_crop_is_embedded_once() -> None:
    network = TableNetwork(TABLE)
    embeddings = Embeddings(network, table_crops(ROWS, MIRRORED_ROWS))
    assert torch.equal(embeddings(np.array([5, 3, 5])), TABLE[[5, 3, 5]])
    assert torch.equal(embeddings(np.array([3, 4])), TABLE[[3, 4]])
    assert embeddings(np.array([4, 5])).shape == (2, 4)
    assert sorted(network.embedded) == [3, 4, 5]


def test_mirrored_crops_are_embedded_from_their_mirror_images() -> None:
    network, crops = TableNetwork(TABLE), table_crops(ROWS, MIRRORED_ROWS)
    mirrored = Embeddings(network, crops, mirrored=True)
    assert torch.equal(mirrored(np.array([7, 0])), TABLE[[107, 100]])
    assert torch.equal(embed(network, crops, np.array([7]), mirrored=True), TABLE[[107]])


def test_many_crops_are_embedded_in_the_order_of_their_indices() -> None:
    network = TableNetwork(TABLE).train()
    order = np.random.default_rng(0).permutation(100)
    assert torch.equal(embed(network, table_crops(ROWS, MIRRORED_ROWS), order), TABLE[order])
    assert not network.training


def test_a_template_is_the_normalized_mean() -> None:
    assert template(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).tolist() == pytest.approx([0.5**0.5, 0.5**0.5])
    assert template(TABLE).norm().item() == pytest.approx(1)
    assert template(TABLE[:1]).tolist() == pytest.approx(TABLE[0].tolist())
