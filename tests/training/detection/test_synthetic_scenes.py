import math

import numpy as np
import pytest
from PIL import Image

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face, crop_face
from facerec.training.dataset import FaceDataset
from facerec.training.detection.backgrounds import face_free
from facerec.training.detection.compositing import BLACK, Canvas, cut_out
from facerec.training.detection.synthetic_scenes import compose_scene, recognition_scene
from facerec.training.split import Split
from tests.drawn_people import draw_person

EVERYTHING = np.ones((CROP_SIZE, CROP_SIZE), np.float32)


def grey(side: int) -> Canvas:
    return Canvas(np.full((side, side, 3), 128, np.uint8))


@pytest.mark.parametrize("angle", [0.0, 0.4, -0.4])
@pytest.mark.parametrize("size", [60.0, 150.0])
def test_a_pasted_face_is_where_the_scene_says(size: float, angle: float) -> None:
    crop = np.asarray(draw_person(0, 0))
    canvas = grey(600)
    face = Face(290.3, 310.8, size, angle, 1)
    canvas.paste(crop, EVERYTHING, face)
    scene = canvas.finished()
    assert scene.faces == [face]
    middle = np.s_[60:190, 60:190]
    found = crop_face(Image.fromarray(scene.picture), face)[middle].astype(int)
    assert np.abs(found - crop[middle]).mean() < 6
    elsewhere = crop_face(Image.fromarray(scene.picture), face._replace(angle=angle + 0.5))[middle].astype(int)
    assert np.abs(elsewhere - crop[middle]).mean() > 12


def test_where_a_crop_may_hold_other_faces_the_scene_is_unsure() -> None:
    canvas = grey(400)
    canvas.paste(np.asarray(draw_person(0, 0)), EVERYTHING, Face(200, 200, FACE_SIZE, 0, 1))
    unsure = canvas.finished().unsure
    assert not unsure[200, 200]
    assert unsure[90, 90]
    assert not unsure[10, 10]


@pytest.mark.parametrize(("right", "known", "unsure"), [(0.0, 1, False), (0.6, 2, False), (0.25, 1, True)])
def test_a_face_counts_as_far_as_it_is_in_view(right: float, known: int, unsure: bool) -> None:
    crop = np.asarray(draw_person(0, 0))
    canvas = grey(400)
    size = 100.0
    behind = Face(150 + right * 2 * size, 200, size, 0, 1)
    in_front = Face(150, 200, size, 0, 1)
    window = np.zeros_like(EVERYTHING)
    window[60:190, 60:190] = 1
    canvas.paste(crop, window, behind)
    canvas.paste(crop, window, in_front)
    scene = canvas.finished()
    assert len(scene.faces) == known
    assert in_front in scene.faces
    assert bool(scene.unsure[200, round(behind.x + 0.3 * size)]) == unsure


def test_black_corners_are_not_pasted() -> None:
    crop = np.full((CROP_SIZE, CROP_SIZE, 3), 200, np.uint8)
    crop[:70] = BLACK - 1
    crop[120:130, 120:130] = 0
    window = cut_out(crop, np.random.default_rng(0))
    assert window[:70].max() == 0
    assert window[100:150, 100:150].min() > 0.9


@pytest.mark.parametrize("seed", range(12))
def test_scenes_are_decided_by_their_seed_and_keep_faces_in_view(dataset: FaceDataset, split: Split, seed: int) -> None:
    one, same = (
        compose_scene(dataset, split.background, side=160, random=np.random.default_rng(seed)) for _ in range(2)
    )
    assert np.array_equal(one.picture, same.picture)
    assert one.faces == same.faces
    assert one.picture.shape == (160, 160, 3)
    assert one.unsure.shape == (160, 160)
    for face in one.faces:
        assert -0.2 * face.size < face.x < 160 + 0.2 * face.size
        assert face.size >= 8
        assert abs(face.angle) < math.pi / 2


@pytest.mark.parametrize("seed", range(24))
def test_backgrounds_have_the_size_asked_for(dataset: FaceDataset, split: Split, seed: int) -> None:
    background = face_free(dataset, split.background, side=96, random=np.random.default_rng(seed))
    assert background.size == (96, 96)
    assert background.mode == "RGB"


def test_a_scene_shows_its_face_in_full(dataset: FaceDataset, split: Split) -> None:
    for seed in range(8):
        image = int(split.test[0])
        picture, face = recognition_scene(dataset, image, split.unknown_test, random=np.random.default_rng(seed))
        assert 0.5 <= face.size / FACE_SIZE <= 3
        assert abs(face.angle) <= math.radians(20)
        crop, middle = dataset.crops[image].astype(int), np.s_[80:170, 80:170]
        assert np.abs(crop_face(picture, face)[middle] - crop[middle]).mean() < 8
