from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from facerec.training.backbone import BLOCKS
from facerec.training.errors import OptionError
from facerec.training.options import (
    DetectorOptions,
    LandmarkOptions,
    RecognizerOptions,
    TuneOptions,
    changed,
    option_name,
    validated,
)

OUT_OF_BOUNDS = {
    "min_images": (4,),
    "seed": (-1, 2**31 + 1),
    "unfrozen_blocks": (-1, BLOCKS + 1),
    "epochs": (0, 10_001),
    "pretraining_epochs": (0, 10_001),
    "min_epoch_images": (0,),
    "batch_size": (1,),
    "learning_rate": (-1e-3, 0.0),
    "pretraining_learning_rate": (-1e-3, 0.0),
    "backbone_rate": (-1.0,),
    "weight_decay": (-0.1,),
    "margin": (-0.1, 1.1),
    "scale": (0.5,),
    "balance": (-0.1, 1.1),
    "false_accept_rate": (-0.1, 1.1),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in OUT_OF_BOUNDS for value in OUT_OF_BOUNDS[name]])
def test_numbers_out_of_their_bounds_are_refused(name: str, value: float) -> None:
    message = f"^--{name.replace('_', '-')} must be (at least|more than|at most|less than) [^ ]+, and is {value}"
    with pytest.raises(OptionError, match=message):
        validated(changed(RecognizerOptions(), **{name: value}))


def test_every_number_has_bounds() -> None:
    groups = [
        group
        for options in (RecognizerOptions(), DetectorOptions(), LandmarkOptions())
        for group in vars(options).values()
    ]
    numbers = {field.name for group in groups for field in fields(group) if type(field.default) in {int, float}}
    assert numbers - {"embedding_size", "folds"} == OUT_OF_BOUNDS.keys() | {"steps"}
    with pytest.raises(OptionError, match=r"^--steps must be at least 1, and is 0\.$"):
        validated(changed(DetectorOptions(), steps=0))


@pytest.mark.parametrize("name", ["learning_rate", "margin"])
def test_nan_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match=f"--{name.replace('_', '-')} must be .*, and is nan"):
        validated(changed(RecognizerOptions(), **{name: float("nan")}))


@pytest.mark.parametrize("name", ["data_dir", "output", "images", "checkpoints"])
def test_a_file_in_the_place_of_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OptionError, match=f"--{name.replace('_', '-')} is .*: .*file is a file: name a folder"):
            validated(changed(RecognizerOptions(), **{name: path}))
    validated(changed(RecognizerOptions(), **{name: tmp_path / "new" / "below"}))
    with pytest.raises(OptionError, match="can't be used: File name too long"):
        validated(changed(RecognizerOptions(), **{name: tmp_path / ("x" * 300)}))


def test_the_recipe_holds_no_path_and_nothing_that_does_not_decide_the_result() -> None:
    options = changed(RecognizerOptions(), weights=Path("some/folder/start.pth"))
    recipe = options.recipe()
    assert recipe["margin"] == options.training.margin
    assert recipe["weights"] == "start.pth"
    assert not {"data", "data_dir", "output", "images", "checkpoints", "resume", "folds"} & recipe.keys()
    assert all(isinstance(value, str | int | float) for value in recipe.values())


def test_the_training_recipe_holds_nothing_that_is_decided_after_training() -> None:
    options = TuneOptions()
    assert options.recipe().keys() - options.training_recipe().keys() == {"false_accept_rate", "weights_licence"}
    assert {"steps", "crop_mode", "seed"} <= DetectorOptions().recipe().keys()


def test_every_option_is_named_once() -> None:
    for options in (RecognizerOptions(), TuneOptions(), DetectorOptions()):
        groups = [group for group in vars(options).values() if hasattr(group, "__dataclass_fields__")]
        names = [field.name for group in groups for field in fields(group)]
        assert len(set(names)) == len(names)
        assert get_args(get_type_hints(type(groups[0]))["crop_mode"]) == ("detect", "centre")


def accurate(options: RecognizerOptions | None = None, **values: Any) -> RecognizerOptions:
    return changed(options or RecognizerOptions(), backbone="dlib-resnet", **values)


ANOTHER_VALUE: dict[str, Any] = {
    "weights": "imagenet", "teacher": "none", "unfrozen_blocks": 3, "pretraining_epochs": 3, "learning_rate": 0.1,
    "pretraining_learning_rate": 0.1,
    "weight_decay": 0.1, "checkpoints": Path("elsewhere"), "resume": True, "epochs": 3, "min_epoch_images": 1,
    "batch_size": 8, "backbone_rate": 2.0, "margin": 0.1, "scale": 16.0, "balance": 0.1,
}  # fmt: skip
"""A value other than the default of each option that does not apply to dlib-resnet."""


@pytest.mark.parametrize("name", ANOTHER_VALUE)
def test_options_of_training_are_refused_where_nothing_is_trained(name: str) -> None:
    given = changed(RecognizerOptions(), **{name: ANOTHER_VALUE[name]})
    assert validated(given) == given
    with pytest.raises(OptionError) as info:
        validated(accurate(given))
    assert str(info.value) == f"{option_name(name)} does not apply to --backbone dlib-resnet, which is not trained."


WITHOUT_TEACHER: dict[str, Any] = {"align": True, "embedding_size": 128}
"""A value other than the default of each option that a teacher decides."""


@pytest.mark.parametrize("name", WITHOUT_TEACHER)
def test_what_a_teacher_decides_is_refused_where_there_is_one(name: str) -> None:
    given = changed(RecognizerOptions(), **{name: WITHOUT_TEACHER[name]})
    with pytest.raises(OptionError, match=f"^{option_name(name)} does not apply with --teacher dlib-resnet"):
        validated(given)
    given = changed(given, teacher="none")
    assert validated(given) == given
    with pytest.raises(OptionError, match="does not apply to --backbone dlib-resnet, which is not trained"):
        validated(accurate(given))


@pytest.mark.parametrize("name", ["pretraining_epochs", "pretraining_learning_rate"])
def test_pretraining_is_refused_without_a_teacher(name: str) -> None:
    with pytest.raises(OptionError, match=f"^{option_name(name)} does not apply with --teacher none"):
        validated(changed(RecognizerOptions(), teacher="none", **{name: 3}))


def test_a_licence_is_refused_without_a_file_that_has_it() -> None:
    given = changed(RecognizerOptions(), weights=Path("start.pth"), weights_licence="MIT")
    assert validated(given) == given
    for weights in ("imagenet", "none"):
        with pytest.raises(OptionError, match=r"^--weights-licence is that of a file: name the file with --weights"):
            validated(changed(given, weights=weights))
    with pytest.raises(OptionError, match=r"^--weights-licence does not apply to --backbone dlib-resnet"):
        validated(accurate(weights_licence="MIT"))


def test_the_search_is_refused_with_a_teacher() -> None:
    with pytest.raises(OptionError, match=r"^tune does not apply with --teacher dlib-resnet"):
        validated(changed(TuneOptions(), teacher="dlib-resnet"))
    assert validated(TuneOptions()) == TuneOptions()


def test_all_other_options_apply_to_every_backbone(tmp_path: Path) -> None:
    options = RecognizerOptions()
    groups = (options.model, options.training, options.publishing)
    others = {field.name for group in groups for field in fields(group)} - ANOTHER_VALUE.keys()
    assert (
        others
        == {"backbone", "folds", "output", "images", "false_accept_rate", "weights_licence"} | WITHOUT_TEACHER.keys()
    )
    given = accurate(
        data=tmp_path, data_dir=tmp_path, min_images=10, seed=3, crop_mode="centre", detector=tmp_path / "a.onnx",
        landmarks=tmp_path / "b.onnx", folds=5, output=tmp_path, images=tmp_path, false_accept_rate=0.1,
    )  # fmt: skip
    assert validated(given) == given


def test_the_search_is_refused_where_nothing_is_trained() -> None:
    with pytest.raises(OptionError, match=r"^tune does not apply to --backbone dlib-resnet, which is not trained\.$"):
        validated(accurate(TuneOptions()))


def test_the_recipe_of_a_network_that_is_not_trained_holds_only_what_applies() -> None:
    data = {"min_images", "seed", "crop_mode", "detector", "landmarks"}
    recipe = accurate().recipe()
    assert recipe.keys() == data | {"backbone", "false_accept_rate"}
    assert (recipe["backbone"], recipe["landmarks"]) == ("dlib-resnet", "face_landmarks.onnx")
    trained = ANOTHER_VALUE.keys() | WITHOUT_TEACHER.keys() | {"weights_licence"}
    assert RecognizerOptions().recipe().keys() == recipe.keys() | trained - {"checkpoints", "resume"}
