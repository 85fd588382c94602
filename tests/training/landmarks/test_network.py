import numpy as np
import torch

from facerec.training.landmarks.network import CROP_SIZE, LandmarkGraph, LandmarkNetwork


def test_the_graph_takes_crops_as_they_are_cut() -> None:
    network = LandmarkNetwork().eval()
    crops = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, CROP_SIZE, CROP_SIZE, 3), np.uint8))
    with torch.inference_mode():
        points = LandmarkGraph(network)(crops)
        assert points.shape == (3, 5, 2)
        assert torch.equal(points, network(crops.permute(0, 3, 1, 2).float()))


def test_the_network_is_small() -> None:
    assert sum(parameter.numel() for parameter in LandmarkNetwork().parameters()) < 250_000
