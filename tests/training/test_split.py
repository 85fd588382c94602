import dataclasses

import numpy as np
import pytest

from facerec.training.errors import DataError
from facerec.training.split import FOLDS, assign_roles
from tests.training.blank_dataset import faces_with

STRANGERS = {f"Stranger {i}": 1 for i in range(21)}
COUNTS = {"Ann": 20, "Bob": 37, "Cid": 100, "Dee": 2, "Eve": 19} | STRANGERS


@pytest.mark.parametrize("fold", range(FOLDS))
def test_every_image_has_one_role(fold: int) -> None:
    faces = faces_with(COUNTS)
    roles = assign_roles(faces, min_images=20, seed=3, fold=fold)
    parts = (roles.train, roles.validation, roles.test, roles.others, roles.strangers_chosen, roles.strangers_test)
    assert sorted(np.concatenate(parts)) == list(range(len(faces.paths)))
    assert roles.people == ["Ann", "Bob", "Cid"]
    assert roles.other_people == 2
    assert set(roles.labels[roles.others]) == {3, 4}
    assert set(roles.labels[roles.strangers_chosen]) | set(roles.labels[roles.strangers_test]) == {-1}
    assert abs(len(roles.strangers_chosen) - len(roles.strangers_test)) <= 1


def test_a_split_is_70_10_20_per_person() -> None:
    roles = assign_roles(faces_with(COUNTS), min_images=20, seed=0, fold=0)
    shares = [np.bincount(roles.labels[images]).tolist() for images in (roles.train, roles.validation, roles.test)]
    assert shares == [[14, 26, 70], [2, 4, 10], [4, 7, 20]]


def test_folds_test_every_image_once() -> None:
    faces = faces_with(COUNTS)
    tested = np.concatenate([assign_roles(faces, min_images=20, seed=0, fold=fold).test for fold in range(FOLDS)])
    assert sorted(tested) == sorted(np.flatnonzero(faces.counts()[faces.identities] >= 20))


def test_a_split_depends_on_seed_and_name_alone() -> None:
    def test_images_of_bob(counts: dict[str, int], seed: int) -> set[str]:
        faces = faces_with(counts)
        test = assign_roles(faces, min_images=20, seed=seed, fold=0).test
        first = next(image for image, path in enumerate(faces.paths) if path.startswith("Bob/"))
        return {str(image - first) for image in test if faces.paths[image].startswith("Bob/")}

    without_ann = {name: count for name, count in COUNTS.items() if name != "Ann"}
    assert test_images_of_bob(COUNTS, seed=0) == test_images_of_bob(without_ann, seed=0)
    assert test_images_of_bob(COUNTS, seed=0) != test_images_of_bob(COUNTS, seed=1)


def test_one_known_person_is_too_few() -> None:
    faces = faces_with({"Ann": 20, "Bob": 19, "Cid": 1, "Dee": 1})
    with pytest.raises(DataError, match=r"1 of 4 people have 20 pictures or more, and 2 are needed"):
        assign_roles(faces, min_images=20, seed=0, fold=0)
    skipped = dataclasses.replace(faces, skipped={"Bob/9.jpg": "a copy of Bob/1.jpg", "Cid/2.jpg": "no picture"})
    with pytest.raises(DataError, match=r"skipped: 2, of which the first is Bob/9.jpg \(a copy of Bob/1.jpg\)"):
        assign_roles(skipped, min_images=20, seed=0, fold=0)


def test_without_strangers_some_of_the_others_play_them() -> None:
    others = {f"Other {i}": 5 for i in range(10)}
    faces = faces_with({"Ann": 20, "Bob": 20, "Cid": 1} | others)
    roles = assign_roles(faces, min_images=20, seed=0, fold=0)
    assert roles.strangers == "people with too few pictures to be known"
    assert len(roles.strangers_chosen) + len(roles.strangers_test) == 26
    assert not set(faces.identities[roles.strangers_chosen]) & set(faces.identities[roles.strangers_test])
    assert roles.other_people == 5
    assert set(roles.labels[roles.others]) == {2, 3, 4, 5, 6}
    assert not set(roles.others) & {*roles.strangers_chosen, *roles.strangers_test}


def test_without_anybody_else_known_people_play_the_strangers() -> None:
    roles = assign_roles(faces_with({"Ann": 5, "Bob": 5, "Cid": 3}), min_images=5, seed=0, fold=0)
    assert roles.strangers == "known people, each compared with everybody but themselves"
    assert roles.strangers_chosen.tolist() == roles.validation.tolist()
    assert roles.strangers_test.tolist() == roles.test.tolist()
    assert len(roles.others) == 3


@pytest.mark.parametrize("counts", [{"Cid": 25}, {"Cid": 19, "Dee": 1}])
def test_strangers_too_few_to_choose_or_to_test_are_not_taken(counts: dict[str, int]) -> None:
    roles = assign_roles(faces_with({"Ann": 30, "Bob": 30} | counts), min_images=30, seed=0, fold=0)
    assert roles.strangers == "known people, each compared with everybody but themselves"
    assert len(roles.others) == counts["Cid"], "he is trained on instead"


@pytest.mark.parametrize("count", range(5, 30))
@pytest.mark.parametrize("fold", range(FOLDS))
def test_few_images_still_split(count: int, fold: int) -> None:
    faces = faces_with({"Ann": count, "Bob": count})
    roles = assign_roles(faces, min_images=5, seed=0, fold=fold)
    for images in (roles.train, roles.validation, roles.test):
        assert set(roles.labels[images]) == {0, 1}
