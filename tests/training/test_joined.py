"""Two data sets as one: the people to be named, and others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facerec.training.dataset import load_dataset
from facerec.training.errors import DataError
from facerec.training.joined import join
from facerec.training.options import DataOptions
from facerec.training.session import load_pictures
from tests.drawn_people import draw_people, draw_person


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of two people to be named, and one of three others, of whom the first has a name of the first folder."""
    mine, others = draw_people(tmp_path / "mine", [3, 2]), draw_people(tmp_path / "others", [4, 0, 2, 1])
    (mine / "Person_01").rename(mine / "Zoe")
    return mine, others


def test_the_crops_of_both_are_read_in_any_order(folders: tuple[Path, Path], tmp_path: Path) -> None:
    mine, others = (load_dataset(folder, data_dir=tmp_path / "data") for folder in folders)
    joined = join(mine, others)
    assert joined.names == ["Person_00", "Person_02", "Person_03", "Zoe"]
    assert joined.others == {"Person_02", "Person_03"}
    assert joined.counts().tolist() == [3, 2, 1, 2]
    assert joined.crops.shape == (8, 250, 250, 3)
    assert len(joined.landmarks) == len(joined.paths) == len(joined.crops) == 8
    originals = dict(zip(mine.paths, mine.crops, strict=True)) | {
        path: crop for path, crop in zip(others.paths, others.crops, strict=True) if not path.startswith("Person_00")
    }
    for path, person, crop in zip(joined.paths, joined.identities, joined.crops, strict=True):
        assert path.startswith(joined.names[person])
        assert np.array_equal(crop, originals[path])
    order = np.array([7, 0, 5, 5, 2])
    assert np.array_equal(joined.crops[order], np.stack([joined.crops[int(index)] for index in order]))


def test_pictures_of_people_who_are_left_out_do_not_count(folders: tuple[Path, Path], tmp_path: Path) -> None:
    mine, others = (load_dataset(folder, data_dir=tmp_path / "data") for folder in folders)
    left_out, kept = others.paths[0], others.paths[-1]
    joined = join(replace(mine, without_face=[mine.paths[-1]]), replace(others, without_face=[left_out, kept]))
    assert joined.without_face == [mine.paths[-1], kept]


def test_the_fingerprint_depends_on_both(folders: tuple[Path, Path], tmp_path: Path) -> None:
    mine, others = (load_dataset(folder, data_dir=tmp_path / "data") for folder in folders)
    draw_person(9, 9).save(folders[1] / "Person_03" / "new.jpg")
    changed = load_dataset(folders[1], data_dir=tmp_path / "data")
    assert len({join(mine, others).fingerprint, join(mine, changed).fingerprint, mine.fingerprint}) == 3


def test_other_people_come_from_a_folder_or_from_nowhere(folders: tuple[Path, Path], tmp_path: Path) -> None:
    mine, others = folders
    options = DataOptions(data=mine, background=others, data_dir=tmp_path / "data")
    assert len(load_pictures(options).names) == 4
    assert len(load_pictures(DataOptions(data=mine, background="none", data_dir=tmp_path / "data")).names) == 2


def test_where_other_people_cannot_be_had_enrolling_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    options = DataOptions(data=folders[0], background=tmp_path / "nothing", data_dir=tmp_path / "data")
    with pytest.raises(DataError, match=r"--background .*nothing can't be had.*facerec people add"):
        load_pictures(options)
