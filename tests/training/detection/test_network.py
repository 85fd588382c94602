import math
from typing import cast

import pytest
import torch
from torch import nn

from facerec.inference.cropping import Face
from facerec.training.detection.network import (
    FULL_SCORE_MIN_PIXELS,
    MAX_FACES,
    STRIDE,
    DetectorGraph,
    DetectorNetwork,
    Outputs,
)


class FixedNetwork(nn.Module):
    """A network whose outputs describe the same faces for every picture."""

    def __init__(self, *faces: Face) -> None:
        super().__init__()
        self.faces = faces

    def forward(self, images: torch.Tensor) -> Outputs:
        rows, columns = (side // STRIDE for side in images.shape[2:])
        logits = torch.full((1, rows, columns), -10.0)
        offsets, sizes, angles = torch.zeros(1, 2, rows, columns), torch.zeros_like(logits), torch.zeros_like(logits)
        for face in self.faces:
            column, row = int(face.x // STRIDE), int(face.y // STRIDE)
            logits[0, row, column] = math.log(face.score / (1 - face.score))
            offsets[0, :, row, column] = torch.tensor([face.x / STRIDE - column - 0.5, face.y / STRIDE - row - 0.5])
            sizes[0, row, column], angles[0, row, column] = math.log(face.size / STRIDE), face.angle
        return Outputs(logits, offsets, sizes, angles)


def decode(*faces: Face, side: int = 256) -> list[Face]:
    """The faces that the graph returns for outputs that describe `faces`."""
    graph = DetectorGraph(cast(DetectorNetwork, FixedNetwork(*faces)))
    return [Face(*row) for row in graph(torch.zeros(side, side, 3, dtype=torch.uint8)).tolist()]


def test_faces_are_in_pixels_and_ordered_by_falling_score() -> None:
    two = (Face(40.5, 61.25, 36, 0.2, 0.6), Face(180, 200, 55, -0.3, 0.9))
    assert decode(*two) == [pytest.approx(face, abs=1e-3) for face in reversed(two)]


def test_overlapping_detections_are_suppressed() -> None:
    best, duplicate, other = Face(100, 100, 80, 0, 0.9), Face(118, 100, 80, 0, 0.7), Face(200, 100, 80, 0, 0.6)
    assert [face.x for face in decode(best, duplicate, other)] == pytest.approx([100, 200])


def test_scores_of_small_faces_are_lowered() -> None:
    (face,) = decode(Face(100, 100, 14, 0, 0.8))
    assert face.score == pytest.approx(0.8 * 14 / FULL_SCORE_MIN_PIXELS, abs=1e-3)


def test_faces_of_low_score_and_beyond_the_hundredth_are_left_out() -> None:
    assert decode(Face(100, 100, 80, 0, 0.04)) == []
    many = [Face(16 + 32 * x, 16 + 32 * y, 20, 0, 0.5 + 0.001 * x + 0.01 * y) for x in range(16) for y in range(16)]
    assert len(decode(*many, side=512)) == MAX_FACES


def test_outputs_have_one_cell_per_eight_pixels() -> None:
    outputs = DetectorNetwork().eval()(torch.zeros(2, 3, 64, 96))
    assert outputs.logits.shape == outputs.sizes.shape == outputs.angles.shape == (2, 8, 12)
    assert outputs.offsets.shape == (2, 2, 8, 12)
    assert outputs.logits.sigmoid().max() < 0.05  # before training, no cell is likely to hold a face
