import math

import numpy as np
import pytest
import torch

from facerec.inference.cropping import Face
from facerec.training.detection.compositing import SyntheticScene
from facerec.training.detection.loss import Target, detection_loss, target_of
from facerec.training.detection.network import Outputs

FACES = [Face(36, 44, 40, 0.3, 1), Face(100, 90, 24, -0.2, 1)]


def make_target(ignore: bool = False) -> Target:
    """The target of a scene of 128 x 128 pixels with two faces; `ignore` masks its upper right quarter."""
    mask = np.zeros((128, 128), bool)
    mask[:64, 64:] = ignore
    target = target_of(SyntheticScene(np.zeros((128, 128, 3), np.uint8), FACES, mask))
    return Target(*(part[None] for part in target))


def perfect_outputs(target: Target) -> Outputs:
    """The outputs of a network that predicts the target exactly."""
    logits = torch.where(target.heatmap == 1, 12.0, -12.0)
    regression = target.regression
    return Outputs(logits, regression[:, :2].clone(), regression[:, 2].clone(), regression[:, 3].clone())


def test_target_describes_each_face_at_the_cell_of_its_centre() -> None:
    target = make_target()
    assert (target.heatmap == 1).sum() == len(FACES)
    for face in FACES:
        column, row = int(face.x // 8), int(face.y // 8)
        assert target.heatmap[0, row, column] == 1
        offset_x, offset_y, size, angle = target.regression[0, :, row, column].tolist()
        assert 8 * (column + 0.5 + offset_x) == pytest.approx(face.x)
        assert 8 * (row + 0.5 + offset_y) == pytest.approx(face.y)
        assert 8 * math.exp(size) == pytest.approx(face.size, rel=1e-5)
        assert angle == pytest.approx(face.angle)


def test_loss_is_near_zero_for_perfect_outputs_and_higher_for_each_wrong_one() -> None:
    target = make_target()
    least = detection_loss(perfect_outputs(target), target).item()
    assert least < 1e-3
    for name in Outputs._fields:
        outputs = perfect_outputs(target)
        getattr(outputs, name).add_(0.5 if name != "logits" else 14)
        assert detection_loss(outputs, target).item() > least + 0.05


@pytest.mark.parametrize(
    ("ignore", "score", "costs"), [(True, 0.99, False), (False, 0.99, True), (True, 0.4, True), (True, 0.6, False)]
)
def test_high_scores_under_the_ignore_mask_cost_nothing(ignore: bool, score: float, costs: bool) -> None:
    target = make_target(ignore)
    outputs = perfect_outputs(target)
    least = detection_loss(outputs, target).item()
    outputs.logits[0, 2, 12] = math.log(score / (1 - score))
    assert (detection_loss(outputs, target).item() > least + 0.02) == costs


def test_loss_of_a_scene_without_faces_is_finite() -> None:
    scene = SyntheticScene(np.zeros((64, 64, 3), np.uint8), [], np.zeros((64, 64), bool))
    target = Target(*(part[None] for part in target_of(scene)))
    assert 0 <= detection_loss(perfect_outputs(target), target).item() < 1e-3
