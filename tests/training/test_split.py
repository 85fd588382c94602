import dataclasses

import numpy as np
import pytest

from facerec.training.errors import DataError
from facerec.training.split import FOLDS, split_dataset
from tests.training.blank_dataset import blank_dataset

UNKNOWN_COUNTS = {f"Unknown {i}": 1 for i in range(21)}
COUNTS = {"Ann": 20, "Bob": 37, "Cid": 100, "Dee": 2, "Eve": 19, "Fay": 12} | UNKNOWN_COUNTS


@pytest.mark.parametrize("fold", range(FOLDS))
def test_every_image_is_in_one_part(fold: int) -> None:
    dataset = blank_dataset(COUNTS)
    split = split_dataset(dataset, min_images=20, seed=3, fold=fold)
    unknown = (split.unknown_validation, split.unknown_test)
    parts = (split.train, split.validation, split.test, split.background, *split.new_people, *unknown)
    assert sorted(np.concatenate(parts)) == list(range(len(dataset.paths)))
    assert split.people == ["Ann", "Bob", "Cid"]
    assert split.background_people == 2
    assert set(split.labels[split.background]) == {3, 4}
    (new_person,) = split.new_people
    assert {dataset.paths[image].split("/")[0] for image in new_person} == {"Eve"}
    assert set(split.labels[new_person]) == {-1}
    assert set(split.labels[split.unknown_validation]) | set(split.labels[split.unknown_test]) == {-1}
    assert abs(len(split.unknown_validation) - len(split.unknown_test)) <= 1


def test_each_known_person_is_split_70_10_20() -> None:
    split = split_dataset(blank_dataset(COUNTS), min_images=20, seed=0, fold=0)
    sizes = [np.bincount(split.labels[indices]).tolist() for indices in (split.train, split.validation, split.test)]
    assert sizes == [[14, 26, 70], [2, 4, 10], [4, 7, 20]]


def test_the_folds_test_every_image_once() -> None:
    dataset = blank_dataset(COUNTS)
    tested = np.concatenate([split_dataset(dataset, min_images=20, seed=0, fold=fold).test for fold in range(FOLDS)])
    assert sorted(tested) == sorted(np.flatnonzero(dataset.counts()[dataset.identities] >= 20))


def test_a_persons_split_depends_on_seed_and_name_but_not_on_other_people() -> None:
    def test_images_of_bob(counts: dict[str, int], seed: int) -> set[str]:
        dataset = blank_dataset(counts)
        test = split_dataset(dataset, min_images=20, seed=seed, fold=0).test
        first = next(image for image, path in enumerate(dataset.paths) if path.startswith("Bob/"))
        return {str(image - first) for image in test if dataset.paths[image].startswith("Bob/")}

    without_ann = {name: count for name, count in COUNTS.items() if name != "Ann"}
    assert test_images_of_bob(COUNTS, seed=0) == test_images_of_bob(without_ann, seed=0)
    assert test_images_of_bob(COUNTS, seed=0) != test_images_of_bob(COUNTS, seed=1)


def test_fewer_than_two_known_people_are_an_error() -> None:
    dataset = blank_dataset({"Ann": 20, "Bob": 19, "Cid": 1, "Dee": 1})
    with pytest.raises(DataError, match=r"1 of 4 people have 20 pictures or more, and 2 are needed"):
        split_dataset(dataset, min_images=20, seed=0, fold=0)
    skipped = dataclasses.replace(dataset, skipped={"Bob/9.jpg": "a copy of Bob/1.jpg", "Cid/2.jpg": "no picture"})
    with pytest.raises(DataError, match=r"Skipped: 1 equal to another picture; 1 such as Cid/2\.jpg \(no picture\)"):
        split_dataset(skipped, min_images=20, seed=0, fold=0)


def test_background_people_become_unknown_where_too_few_people_have_one_image() -> None:
    background_counts = {f"Background {i}": 5 for i in range(10)}
    dataset = blank_dataset({"Ann": 20, "Bob": 20, "Cid": 1} | background_counts)
    split = split_dataset(dataset, min_images=20, seed=0, fold=0)
    assert split.unknown_source == "people with too few pictures to be known"
    assert len(split.unknown_validation) + len(split.unknown_test) == 26
    assert not set(dataset.identities[split.unknown_validation]) & set(dataset.identities[split.unknown_test])
    assert split.background_people == 5
    assert set(split.labels[split.background]) == {2, 3, 4, 5, 6}
    assert not set(split.background) & {*split.unknown_validation, *split.unknown_test}


def test_every_second_person_with_10_to_19_images_is_new() -> None:
    counts = {"Ann": 20, "Bob": 20, "Cid": 10, "Dee": 9, "Eve": 19, "Fay": 15, "Gus": 11, "Hal": 12} | UNKNOWN_COUNTS
    dataset = blank_dataset(counts)
    for fold in range(FOLDS):
        split = split_dataset(dataset, min_images=20, seed=fold, fold=fold)
        names = [{dataset.paths[image].split("/")[0] for image in images} for images in split.new_people]
        assert names == [{"Cid"}, {"Fay"}, {"Hal"}]
        assert [len(images) for images in split.new_people] == [10, 15, 12]
        background = {dataset.paths[image].split("/")[0] for image in split.background}
        assert background == {"Dee", "Eve", "Gus"}
        assert split.background_people == 3


def test_nobody_is_new_where_all_people_with_10_images_are_known() -> None:
    split = split_dataset(blank_dataset(COUNTS), min_images=5, seed=0, fold=0)
    assert split.new_people == []
    assert "Fay" in split.people


def test_new_people_do_not_become_unknown() -> None:
    background_counts = {f"Background {i}": 12 for i in range(10)}
    dataset = blank_dataset({"Ann": 20, "Bob": 20} | background_counts)
    split = split_dataset(dataset, min_images=20, seed=0, fold=0)
    assert len(split.new_people) == 5
    assert not {*np.concatenate(split.new_people)} & {*split.unknown_validation, *split.unknown_test, *split.background}


@pytest.mark.parametrize("others", [{}, {"Cid": 9}, {"Cid": 9, "Dee": 1}])
def test_too_few_images_of_unknown_people_are_an_error_that_says_what_to_do(others: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"leave out --background none.*facerec people add"):
        split_dataset(blank_dataset({"Ann": 30, "Bob": 30} | others), min_images=30, seed=0, fold=0)


def test_other_people_are_never_known_however_many_images_they_have() -> None:
    counts = {"Ann": 20, "Bob": 20, "Cid": 100, "Dee": 30, "Eve": 3} | UNKNOWN_COUNTS
    dataset = dataclasses.replace(blank_dataset(counts), others=frozenset({"Cid", "Dee", "Eve"}))
    split = split_dataset(dataset, min_images=20, seed=0, fold=0)
    assert split.people == ["Ann", "Bob"]
    assert {dataset.paths[image].split("/")[0] for image in split.background} == {"Dee", "Eve"}
    assert [len(images) for images in split.new_people] == [100]


@pytest.mark.parametrize("count", range(5, 30))
@pytest.mark.parametrize("fold", range(FOLDS))
def test_every_part_has_images_of_a_person_with_five_or_more(count: int, fold: int) -> None:
    dataset = blank_dataset({"Ann": count, "Bob": count} | UNKNOWN_COUNTS)
    split = split_dataset(dataset, min_images=5, seed=0, fold=fold)
    for indices in (split.train, split.validation, split.test):
        assert set(split.labels[indices]) == {0, 1}
