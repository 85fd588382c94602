"""What a run says of its files before it starts."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from facerec.atomic_write import atomic_write
from facerec.training.errors import OptionError, OutputError
from facerec.training.options import (
    AnyOptions,
    DetectorOptions,
    ExploreOptions,
    LandmarkOptions,
    RecognizerOptions,
    TuneOptions,
    changed,
)
from facerec.training.outputs import check_outputs, explained_write_errors, written_files
from tests.shipped import ROOT
from tests.training.small_disk import no_file_larger_than

COMMANDS: list[AnyOptions] = [
    RecognizerOptions(),
    changed(RecognizerOptions(), backbone="dlib-resnet"),
    TuneOptions(),
    DetectorOptions(),
    LandmarkOptions(),
    ExploreOptions(),
]


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize("options", COMMANDS)
def test_files_that_are_replaced_are_announced(
    options: AnyOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    check_outputs(options)
    assert capsys.readouterr().out == ""
    first, *others = written_files(options)
    touch(first)
    check_outputs(options)
    said = capsys.readouterr().out
    assert said.startswith(f"Replaces {first}; --")
    for path in others:
        touch(path)
    check_outputs(options)
    said = capsys.readouterr().out
    more = f" and {len(others)} more" if others else ""
    assert said.startswith(f"Replaces {first}{more}; --")
    named = {word for word in said.split() if word.startswith("--")}
    folders = {path.parts[0] for path in written_files(options)}
    assert len(named) == len(folders)
    assert len(said.splitlines()) == 1
    monkeypatch.setenv("RANK", "1")  # as torchrun does for its second process
    check_outputs(options)
    assert capsys.readouterr().out == ""


def test_exploring_replaces_no_plot_of_the_shipped_models() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    assert not {str(path) for path in written_files(ExploreOptions())} & {*tracked}


@pytest.mark.parametrize("options", COMMANDS)
@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder in which nobody can write")
def test_a_folder_that_can_not_be_written_is_named_before_training(
    options: AnyOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["images"] if isinstance(options, ExploreOptions) else ["output", "checkpoints", "images"]
    if isinstance(options, DetectorOptions | LandmarkOptions):
        names.remove("images")
    if options == COMMANDS[1]:
        names.remove("checkpoints")  # nothing is trained
    for name in names:
        with pytest.raises(OptionError, match=rf"--{name}: can't write to /proc: .*Name another folder"):
            check_outputs(changed(options, **{name: Path("/proc/model")}))
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_place_of_a_file_is_named_before_training(tmp_path: Path) -> None:
    (tmp_path / "face_landmarks.onnx").mkdir()
    with pytest.raises(OptionError, match=r"face_landmarks\.onnx is a folder"):
        check_outputs(changed(LandmarkOptions(), output=tmp_path, checkpoints=tmp_path))


def test_a_full_disk_leaves_the_results_before_and_says_what_to_do(tmp_path: Path) -> None:
    card = tmp_path / "model.md"
    card.write_text("before")
    with (
        no_file_larger_than(1_000),
        pytest.raises(OutputError, match=r"^can't write the results: .*File too large.*--resume") as info,
        explained_write_errors(),
        atomic_write(card) as file,
    ):
        file.write(b"x" * 10_000)
    assert "\n" not in str(info.value)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, ""), OSError(errno.EMFILE, "too many open files")])
def test_other_errors_are_not_taken_for_a_full_disk(error: OSError) -> None:
    with pytest.raises(type(error)) as info, explained_write_errors():
        raise error
    assert info.value is error
