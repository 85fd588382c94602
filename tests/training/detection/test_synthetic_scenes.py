import math

import numpy as np
import pytest
from PIL import Image

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face, crop_face
from facerec.training.dataset import FaceDataset
from facerec.training.detection.backgrounds import face_free_background
from facerec.training.detection.compositing import PADDING_VALUE_LIMIT, Canvas, random_alpha_mask
from facerec.training.detection.synthetic_scenes import compose_scene
from facerec.training.split import Split
from tests.drawn_people import draw_person

OPAQUE = np.ones((CROP_SIZE, CROP_SIZE), np.float32)


def grey_canvas(side: int) -> Canvas:
    return Canvas(np.full((side, side, 3), 128, np.uint8))


@pytest.mark.parametrize("angle", [0.0, 0.4, -0.4])
@pytest.mark.parametrize("size", [60.0, 150.0])
def test_pasted_face_is_at_its_labelled_position(size: float, angle: float) -> None:
    crop = np.asarray(draw_person(0, 0))
    canvas = grey_canvas(600)
    face = Face(290.3, 310.8, size, angle, 1)
    canvas.paste(crop, OPAQUE, face)
    scene = canvas.to_scene()
    assert scene.faces == [face]
    middle = np.s_[60:190, 60:190]
    pasted = crop_face(Image.fromarray(scene.picture), face)[middle].astype(int)
    assert np.abs(pasted - crop[middle]).mean() < 6
    elsewhere = crop_face(Image.fromarray(scene.picture), face._replace(angle=angle + 0.5))[middle].astype(int)
    assert np.abs(elsewhere - crop[middle]).mean() > 12


def test_surroundings_of_a_pasted_face_are_ignored() -> None:
    canvas = grey_canvas(400)
    canvas.paste(np.asarray(draw_person(0, 0)), OPAQUE, Face(200, 200, FACE_SIZE, 0, 1))
    ignore_mask = canvas.to_scene().ignore_mask
    assert not ignore_mask[200, 200]
    assert ignore_mask[90, 90]
    assert not ignore_mask[10, 10]


@pytest.mark.parametrize(("right", "labelled", "ignored"), [(0.0, 1, False), (0.6, 2, False), (0.25, 1, True)])
def test_partly_hidden_face_is_labelled_ignored_or_left_out(right: float, labelled: int, ignored: bool) -> None:
    crop = np.asarray(draw_person(0, 0))
    canvas = grey_canvas(400)
    size = 100.0
    behind = Face(150 + right * 2 * size, 200, size, 0, 1)
    in_front = Face(150, 200, size, 0, 1)
    window = np.zeros_like(OPAQUE)
    window[60:190, 60:190] = 1
    canvas.paste(crop, window, behind)
    canvas.paste(crop, window, in_front)
    scene = canvas.to_scene()
    assert len(scene.faces) == labelled
    assert in_front in scene.faces
    assert bool(scene.ignore_mask[200, round(behind.x + 0.3 * size)]) == ignored


def test_black_padding_is_not_pasted() -> None:
    crop = np.full((CROP_SIZE, CROP_SIZE, 3), 200, np.uint8)
    crop[:70] = PADDING_VALUE_LIMIT - 1
    crop[120:130, 120:130] = 0
    window = random_alpha_mask(crop, np.random.default_rng(0))
    assert window[:70].max() == 0
    assert window[100:150, 100:150].min() > 0.9


@pytest.mark.parametrize("seed", range(12))
def test_scene_is_decided_by_its_seed_and_keeps_faces_in_view(dataset: FaceDataset, split: Split, seed: int) -> None:
    one, same = (
        compose_scene(dataset, split.background, side=160, random=np.random.default_rng(seed)) for _ in range(2)
    )
    assert np.array_equal(one.picture, same.picture)
    assert one.faces == same.faces
    assert one.picture.shape == (160, 160, 3)
    assert one.ignore_mask.shape == (160, 160)
    for face in one.faces:
        assert -0.2 * face.size < face.x < 160 + 0.2 * face.size
        assert face.size >= 8
        assert abs(face.angle) < math.pi / 2


@pytest.mark.parametrize("seed", range(24))
def test_background_is_rgb_and_of_the_given_side(dataset: FaceDataset, split: Split, seed: int) -> None:
    background = face_free_background(dataset, split.background, side=96, random=np.random.default_rng(seed))
    assert background.size == (96, 96)
    assert background.mode == "RGB"
