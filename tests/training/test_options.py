import dataclasses
from pathlib import Path
from typing import Any, cast

import pytest

from facerec.training.backbone import BLOCKS
from facerec.training.errors import OptionError
from facerec.training.options import FOLDERS, LIMITS, Options


@pytest.mark.parametrize("name", LIMITS)
def test_numbers_out_of_their_limits_are_refused(name: str) -> None:
    low, high = LIMITS[name]
    for value in (low - 1, high + 1 if high < 10**9 else float("nan")):
        with pytest.raises(OptionError, match=f"--{name.replace('_', '-')} is .* and must be between"):
            dataclasses.replace(Options(), **cast(dict[str, Any], {name: value}))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_in_a_folder_s_place_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OptionError, match=f"--{name.replace('_', '-')} is .* but .*file is a file: name a folder"):
            dataclasses.replace(Options(), **cast(dict[str, Any], {name: path}))
    dataclasses.replace(Options(), **cast(dict[str, Any], {name: tmp_path / "new" / "below"}))


def test_limits_are_those_of_the_network() -> None:
    assert LIMITS["unfrozen_blocks"] == (0, BLOCKS)


def test_the_recipe_holds_no_path_and_nothing_that_does_not_decide_the_result() -> None:
    recipe = Options().recipe()
    assert recipe["margin"] == Options().margin
    assert not {"data", "output", "resume", "tune", "folds"} & recipe.keys()
    assert all(isinstance(value, str | int | float) for value in recipe.values())
