import dataclasses
from typing import Any, cast

import pytest

from facerec.learning.errors import OptionError
from facerec.learning.network import BLOCKS
from facerec.learning.options import LIMITS, Options


@pytest.mark.parametrize("name", LIMITS)
def test_numbers_out_of_their_limits_are_refused(name: str) -> None:
    low, high = LIMITS[name]
    for value in (low - 1, high + 1 if high < 10**9 else float("nan")):
        with pytest.raises(OptionError, match=f"--{name.replace('_', '-')} is .* and must be between"):
            dataclasses.replace(Options(), **cast(dict[str, Any], {name: value}))


def test_limits_are_those_of_the_network() -> None:
    assert LIMITS["unfrozen_blocks"] == (0, BLOCKS)


def test_the_recipe_holds_no_path_and_nothing_that_does_not_decide_the_result() -> None:
    recipe = Options().recipe()
    assert recipe["margin"] == Options().margin
    assert not {"data", "output", "resume", "tune", "folds"} & recipe.keys()
    assert all(isinstance(value, str | int | float) for value in recipe.values())
