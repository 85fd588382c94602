import sys
from pathlib import Path

import numpy as np
import pytest

from facerec.inference.alignment import eye_distances
from facerec.inference.cropping import Face, crop_face
from facerec.inference.detector import FaceDetector
from facerec.training import dlib_resnet
from facerec.training.dataset import FaceDataset
from facerec.training.errors import DataError
from facerec.training.landmarks import labels
from facerec.training.landmarks.labels import (
    DlibPredictor,
    LabelledFaces,
    label_faces,
    mirror,
    split_background,
)
from facerec.training.split import Split, split_dataset
from tests.training.blank_dataset import blank_dataset
from tests.training.landmarks.photograph import HOPPER, HOPPER_POINTS, photograph

POINTS = np.array([(0.26, -0.1), (0.11, -0.08), (-0.25, -0.12), (-0.1, -0.07), (0.02, 0.2)])


def test_dlib_finds_the_points_of_a_photograph() -> None:
    label = DlibPredictor().label(crop_face(photograph(), HOPPER))
    points = label.points * HOPPER.size + (HOPPER.x, HOPPER.y)
    assert np.linalg.norm(points - HOPPER_POINTS, axis=1).max() < 0.12 * eye_distances(HOPPER_POINTS)
    assert 0 < label.spread < labels.MAX_SPREAD


def test_the_label_of_the_mirror_image_is_the_mirrored_label() -> None:
    predictor = DlibPredictor()
    crop = crop_face(photograph(), HOPPER)
    mirrored = np.ascontiguousarray(crop[:, ::-1])
    assert predictor.label(mirrored).points == pytest.approx(mirror(predictor.label(crop).points), abs=0.01)


def test_a_mirrored_face_has_its_left_eye_on_the_other_side() -> None:
    mirrored = mirror(POINTS)
    assert mirrored[0].tolist() == [0.25, -0.12]
    assert mirrored[4].tolist() == [-0.02, 0.2]
    assert np.array_equal(mirror(mirrored), POINTS)


def test_the_distance_between_the_eyes_is_that_of_their_middles() -> None:
    points = np.array([(4.0, 0.0), (2.0, 0.0), (-4.0, 8.0), (-2.0, 8.0), (0.0, 9.0)])
    assert eye_distances(points) == 10
    assert eye_distances(np.stack([points, 2 * points])).tolist() == [10, 20]


def test_pictures_without_a_face_are_counted(labelled: LabelledFaces) -> None:
    assert len(labelled.faces) == len(labelled.indices) == len(labelled.points) == len(labelled.spreads)
    assert labelled.faces
    assert labelled.without_face == 1


def test_faces_without_plausible_points_are_counted(
    marked: FaceDataset, marked_split: Split, finder: FaceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = labels.Label(POINTS, 0.01)
    upside_down = labels.Label(-POINTS, 0.01)
    answers = iter([good, *[upside_down] * 99])
    monkeypatch.setattr(DlibPredictor, "label", lambda self, crop: next(answers))
    found = label_faces(marked, marked_split.unknown_test, finder, "Test faces")
    assert len(found.faces) == 1
    assert found.implausible + found.without_face + 1 == len(marked_split.unknown_test)
    with pytest.raises(DataError, match="Test faces: no face could be labelled in 10 pictures"):
        label_faces(marked, marked_split.unknown_test, finder, "Test faces")


def test_a_network_learns_from_steady_labels_alone() -> None:
    faces = [Face(x, 0, 1, 0, 1) for x in range(3)]
    found = LabelledFaces(np.arange(3), faces, np.stack([POINTS] * 3), np.array([0.01, 0.2, 0.05]), 4, 5)
    steady = found.steady()
    assert steady.faces == [faces[0], faces[2]]
    assert steady.indices.tolist() == [0, 2]
    assert (len(steady.points), len(steady.spreads)) == (2, 2)


def test_nobody_both_trains_and_validates_or_is_known_or_unknown() -> None:
    counts = {f"Known_{i}": 25 for i in range(2)} | {f"Unknown_{i:02}": 1 for i in range(20)}
    counts |= {f"New_{i:02}": 12 for i in range(8)} | {f"Other_{i:02}": 3 for i in range(40)}
    dataset = blank_dataset(counts)
    split = split_dataset(dataset, min_images=20, seed=0, fold=0)
    training, validation = (
        {dataset.names[dataset.identities[i]] for i in part} for part in split_background(dataset, split)
    )
    assert not training & validation
    assert len(validation) == 5
    assert training | validation == {name for name in counts if name.startswith("Other")} | {
        f"New_{i:02}" for i in (1, 3, 5, 7)
    }


def test_one_background_person_is_too_few() -> None:
    counts = {"A": 20, "B": 20, "C": 3} | {f"Unknown_{i:02}": 1 for i in range(20)}
    dataset = blank_dataset(counts)
    with pytest.raises(DataError, match="raise --min-images"):
        split_background(dataset, split_dataset(dataset, min_images=20, seed=0, fold=0))


def test_without_dlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(DataError, match=r"dlib, which labels the faces, is missing: .*`uv sync`"):
        DlibPredictor()


def test_without_the_predictors_file_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dlib_resnet, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"shape_predictor_5_face_landmarks.dat is missing: .*`uv sync`"):
        DlibPredictor()


def test_a_damaged_predictor_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "predictor.dat"
    path.write_bytes(b"no predictor")
    monkeypatch.setattr(labels, "find_dlib_file", lambda name: path)
    with pytest.raises(DataError, match=r"predictor\.dat is damaged"):
        DlibPredictor()
