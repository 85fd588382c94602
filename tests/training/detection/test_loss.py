import math

import numpy as np
import pytest
import torch

from facerec.inference.cropping import Face
from facerec.training.detection.compositing import SyntheticScene
from facerec.training.detection.loss import Target, detection_loss, target_of
from facerec.training.detection.network import Outputs

FACES = [Face(36, 44, 40, 0.3, 1), Face(100, 90, 24, -0.2, 1)]


def target(unsure: bool = False) -> Target:
    """Of a synthetic scene of 128 x 128 pixels, unsure in its upper right quarter or nowhere."""
    mask = np.zeros((128, 128), bool)
    mask[:64, 64:] = unsure
    one = target_of(SyntheticScene(np.zeros((128, 128, 3), np.uint8), FACES, mask))
    return Target(*(part[None] for part in one))


def perfect(target: Target) -> Outputs:
    logits = torch.where(target.heat == 1, 12.0, -12.0)
    return Outputs(logits, target.faces[:, :2].clone(), target.faces[:, 2].clone(), target.faces[:, 3].clone())


def test_the_target_names_each_face_at_its_cell() -> None:
    wanted = target()
    assert (wanted.heat == 1).sum() == len(FACES)
    for face in FACES:
        column, row = int(face.x // 8), int(face.y // 8)
        assert wanted.heat[0, row, column] == 1
        offset_x, offset_y, size, angle = wanted.faces[0, :, row, column].tolist()
        assert 8 * (column + 0.5 + offset_x) == pytest.approx(face.x)
        assert 8 * (row + 0.5 + offset_y) == pytest.approx(face.y)
        assert 8 * math.exp(size) == pytest.approx(face.size, rel=1e-5)
        assert angle == pytest.approx(face.angle)


def test_the_right_answer_costs_nothing_and_every_wrong_one_something() -> None:
    wanted = target()
    least = detection_loss(perfect(wanted), wanted).item()
    assert least < 1e-3
    for name in Outputs._fields:
        outputs = perfect(wanted)
        getattr(outputs, name).add_(0.5 if name != "logits" else 14)
        assert detection_loss(outputs, wanted).item() > least + 0.05


@pytest.mark.parametrize(
    ("unsure", "score", "costs"), [(True, 0.99, False), (False, 0.99, True), (True, 0.4, True), (True, 0.6, False)]
)
def test_a_sure_find_where_nobody_labelled_is_not_punished(unsure: bool, score: float, costs: bool) -> None:
    wanted = target(unsure)
    outputs = perfect(wanted)
    least = detection_loss(outputs, wanted).item()
    outputs.logits[0, 2, 12] = math.log(score / (1 - score))
    assert (detection_loss(outputs, wanted).item() > least + 0.02) == costs


def test_a_scene_without_faces_has_a_loss() -> None:
    empty = target_of(SyntheticScene(np.zeros((64, 64, 3), np.uint8), [], np.zeros((64, 64), bool)))
    wanted = Target(*(part[None] for part in empty))
    assert 0 <= detection_loss(perfect(wanted), wanted).item() < 1e-3
