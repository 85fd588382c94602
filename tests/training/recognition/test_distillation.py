import dataclasses
import math
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facerec.training.backbone import BLOCKS
from facerec.training.dataset import FaceDataset
from facerec.training.errors import CheckpointError, DataError, FitError
from facerec.training.options import RecognizerOptions, changed
from facerec.training.recognition import distillation as module
from facerec.training.recognition.distillation import USES, StepResult, fraction_left
from facerec.training.recognition.embeddings import template
from facerec.training.recognition.fit import fit
from facerec.training.recognition.student import CROP_SIZE, StudentNetwork
from facerec.training.recognition.teacher import Teacher
from facerec.training.recognition.trained_model import TrainedModel
from facerec.training.split import Split, split_dataset
from facerec.training.state import TrainState
from tests.drawn_people import draw_person
from tests.training.blank_dataset import blank_dataset

CPU = torch.device("cpu")
EPOCHS, PRETRAINING_EPOCHS = 2, 2

pytestmark = pytest.mark.usefixtures("toy_backbone")


@pytest.fixture(scope="module")
def aligned() -> FaceDataset:
    """Aligned crops of two known people, four background people and forty unknown ones."""
    counts = [10, 10, 9, 9, 9, 9] + [1] * 40
    names = [f"{first}{second}" for first in "ABCDE" for second in string.ascii_uppercase]
    drawn = [draw_person(person, number) for person, count in enumerate(counts) for number in range(count)]
    crops = np.stack([np.asarray(picture.resize((CROP_SIZE, CROP_SIZE))) for picture in drawn])
    return dataclasses.replace(blank_dataset(dict(zip(names, counts, strict=False))), crops=crops)


@pytest.fixture(scope="module")
def aligned_split(aligned: FaceDataset) -> Split:
    return split_dataset(aligned, min_images=10, seed=0, fold=0)


@pytest.fixture
def options(tmp_path: Path) -> RecognizerOptions:
    return changed(
        RecognizerOptions(), weights="none", pretraining_epochs=PRETRAINING_EPOCHS, epochs=EPOCHS, batch_size=12,
        min_epoch_images=1, checkpoints=tmp_path / "checkpoints",
    )  # fmt: skip


def interrupt(monkeypatch: pytest.MonkeyPatch, name: str, *, call: int) -> None:
    """Make a call of a function of the module raise KeyboardInterrupt, as Ctrl-C does."""
    real: Callable[..., Any] = getattr(module, name)
    calls: list[int] = []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(module, name, interrupted)


def pretrainings(options: RecognizerOptions) -> list[Path]:
    return sorted((options.training.checkpoints / "pretraining").iterdir())


def weights(model: TrainedModel) -> torch.Tensor:
    return torch.cat([tensor.double().flatten() for tensor in model.network.state_dict().values()])


def test_it_learns_from_the_teacher_and_the_labels(
    aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions
) -> None:
    model = fit(aligned, aligned_split, changed(options, pretraining_epochs=12, epochs=6), fold=0, device=CPU)
    left = [epoch.train_left for epoch in model.pretraining]
    assert len(left) == 12
    assert left[-1] < 0.8 * left[0]
    assert model.history[-1].train_loss < 0.9 * model.history[0].train_loss
    assert isinstance(model.network, StudentNetwork)
    assert model.network.classifier is None, "the second embedding is dropped"
    assert model.pretraining[0].images == USES * len(aligned_split.background)


def test_random_weights_are_pretrained_in_all_blocks_of_which_the_first_then_stay(
    aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions
) -> None:
    torch.manual_seed(options.data.seed)
    start = StudentNetwork().state_dict()
    trained = fit(aligned, aligned_split, options, fold=0, device=CPU).network.state_dict()
    pretrained = torch.load(pretrainings(options)[0], weights_only=True)["network"]
    for block in range(BLOCKS):
        name = f"features.{block}.0.weight"
        assert not torch.equal(pretrained[name], start[name]), name
        frozen = block < BLOCKS - options.model.unfrozen_blocks
        assert torch.equal(trained[name], pretrained[name]) == frozen, name


def test_known_people_are_means_of_their_embeddings(
    aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions
) -> None:
    model = fit(aligned, aligned_split, options, fold=0, device=CPU)
    for person in range(2):
        crops = aligned.crops[aligned_split.train[aligned_split.labels[aligned_split.train] == person]]
        samples = torch.from_numpy(np.concatenate([crops, crops[:, :, ::-1]]))
        with torch.inference_mode():
            expected = template(model.network.embed_crops(samples))
        assert torch.allclose(model.directions[person], expected, atol=1e-5)


@pytest.mark.parametrize(("name", "call"), [("teach", 2), ("teach", PRETRAINING_EPOCHS + 2), ("distil_step", 3)])
def test_a_stopped_run_goes_on_to_the_same_result(
    name: str,
    call: int,
    aligned: FaceDataset,
    aligned_split: Split,
    options: RecognizerOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped in the second epoch of pretraining, in the second epoch after it, and before anything was saved."""
    whole = fit(
        aligned, aligned_split, changed(options, checkpoints=options.training.checkpoints / "whole"), fold=0, device=CPU
    )
    with monkeypatch.context() as patch:
        interrupt(patch, name, call=call)
        with pytest.raises(KeyboardInterrupt):
            fit(aligned, aligned_split, options, fold=0, device=CPU)
    saved = (options.training.checkpoints / "pretraining").exists()
    resumed = fit(aligned, aligned_split, changed(options, resume=saved), fold=0, device=CPU)
    assert torch.equal(weights(whole), weights(resumed))
    assert [epoch.train_left for epoch in whole.pretraining] == [epoch.train_left for epoch in resumed.pretraining]
    assert [epoch.train_loss for epoch in whole.history] == [epoch.train_loss for epoch in resumed.history]


def test_one_pretraining_serves_all_folds_and_later_runs(
    aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(aligned, aligned_split, changed(options, folds=2), fold=0, device=CPU)
    (checkpoint,) = pretrainings(options)
    before = checkpoint.read_bytes()
    taught: list[str] = []
    real = module.teach

    def recording(*arguments: Any, name: str, **named: Any) -> tuple[float, float, float]:
        taught.append(name)
        return real(*arguments, name=name, **named)

    monkeypatch.setattr(module, "teach", recording)
    other_fold = split_dataset(aligned, min_images=10, seed=0, fold=1)
    fit(aligned, other_fold, changed(options, folds=2), fold=1, device=CPU)
    fit(aligned, aligned_split, changed(options, epochs=1, learning_rate=1e-4, margin=0.1), fold=0, device=CPU)
    assert taught == ["Epoch 1/2", "Epoch 2/2", "Epoch 1/1"]
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("changes", [{"seed": 1}, {"pretraining_learning_rate": 1e-4}, {"pretraining_epochs": 1}])
def test_another_recipe_is_pretrained_beside_it(
    changes: dict[str, Any], aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions
) -> None:
    fit(aligned, aligned_split, options, fold=0, device=CPU)
    fit(aligned, aligned_split, changed(options, **changes), fold=0, device=CPU)
    assert len(pretrainings(options)) == 2


def test_other_pictures_of_background_people_are_pretrained_anew(
    aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions
) -> None:
    fit(aligned, aligned_split, options, fold=0, device=CPU)
    crops = np.array(aligned.crops)
    crops[aligned_split.train[0]] = 0
    fit(dataclasses.replace(aligned, crops=crops, fingerprint="other"), aligned_split, options, fold=0, device=CPU)
    assert len(pretrainings(options)) == 1, "a known person's picture doesn't matter"
    crops[aligned_split.background[0]] = 0
    fit(dataclasses.replace(aligned, crops=crops, fingerprint="third"), aligned_split, options, fold=0, device=CPU)
    assert len(pretrainings(options)) == 2


def test_a_damaged_pretraining_says_what_to_do(
    aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions
) -> None:
    fit(aligned, aligned_split, options, fold=0, device=CPU)
    (checkpoint,) = pretrainings(options)
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"pretraining.*is damaged.*Delete it and start anew"):
        fit(aligned, aligned_split, options, fold=0, device=CPU)


def test_an_unfinished_run_is_refused_before_anything_is_taught(
    aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, "teach", call=PRETRAINING_EPOCHS + 2)
        with pytest.raises(KeyboardInterrupt):
            fit(aligned, aligned_split, options, fold=0, device=CPU)
    interrupt(monkeypatch, "teach", call=1)
    with pytest.raises(CheckpointError, match="holds an unfinished run"):
        fit(aligned, aligned_split, changed(options, seed=1), fold=0, device=CPU)


def test_another_file_of_the_same_name_is_another_start(
    aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions, tmp_path: Path
) -> None:
    for number in range(2):
        torch.manual_seed(number)
        folder = tmp_path / str(number)
        folder.mkdir()
        torch.save(StudentNetwork().state_dict(), folder / "start.pth")
        fit(aligned, aligned_split, changed(options, weights=folder / "start.pth"), fold=0, device=CPU)
        assert len(pretrainings(options)) == number + 1
    with pytest.raises(CheckpointError, match=r"--weights start\.pth, SHA-256 \w+ \(now start\.pth, SHA-256 \w+\)"):
        fit(aligned, aligned_split, changed(options, weights=tmp_path / "0/start.pth", resume=True), fold=0, device=CPU)
    with pytest.raises(DataError, match=r"can't load the backbone's weights from .*: No such file.*--weights takes"):
        fit(aligned, aligned_split, changed(options, weights=tmp_path / "missing"), fold=0, device=CPU)


def test_accuracy_is_the_fraction_of_all_labels(
    aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter([StepResult(3.0, 0.5, 1, 1), StepResult(1.0, 0.3, 0, 3)] * 100)
    monkeypatch.setattr(module, "distil_step", lambda *_, **__: next(steps))
    lesson = Teacher(aligned, device=CPU).prepare_lesson(aligned_split.background[:24], seed=(0,))
    state = TrainState.start(StudentNetwork(), steps=1, learning_rate=0.1, backbone_rate=1, weight_decay=0)
    assert module.teach(state, lesson, options, seed=(0,), name="") == pytest.approx((2.0, 0.25, 0.4))


def test_half_of_the_faces_keep_their_label_and_are_not_blended(aligned: FaceDataset, aligned_split: Split) -> None:
    indices = np.tile(aligned_split.background, 8)
    labels = aligned_split.labels[indices]
    lesson = Teacher(aligned, device=CPU).prepare_lesson(indices, labels=labels, seed=(0, 1))
    blends = lesson.labels == -1
    assert 0.25 < blends.float().mean() < 0.75
    assert torch.equal(lesson.labels[~blends], torch.from_numpy(labels)[~blends])
    assert (Teacher(aligned, device=CPU).prepare_lesson(indices, seed=(0, 1)).labels == -1).all()


def test_targets_are_what_the_teacher_says_of_the_views(aligned: FaceDataset, aligned_split: Split) -> None:
    teacher = Teacher(aligned, device=CPU)
    lesson = teacher.prepare_lesson(aligned_split.background, seed=(0,))
    assert torch.allclose(teacher.embed(lesson.views.float()), lesson.targets, atol=1e-5)
    again = teacher.prepare_lesson(aligned_split.background, seed=(0,))
    assert torch.equal(again.views, lesson.views)


def test_what_is_left_is_one_for_a_student_that_knows_the_mean_alone(aligned: FaceDataset) -> None:
    embeddings = Teacher(aligned, device=CPU).embed_unchanged(np.arange(len(aligned.paths)))
    network = StudentNetwork()
    network.teacher_variance.copy_(embeddings.var(dim=0, unbiased=False).sum())
    mean = embeddings.mean(dim=0).expand_as(embeddings)
    assert fraction_left(network, mean, embeddings).item() == pytest.approx(1, abs=1e-4)
    assert fraction_left(network, embeddings, embeddings).item() == 0


def test_errors_say_what_to_do(
    aligned: FaceDataset, aligned_split: Split, options: RecognizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FitError, match=r"the loss is nan at step \d+.*--learning-rate"):
        fit(aligned, aligned_split, changed(options, learning_rate=math.inf), fold=0, device=CPU)
    with pytest.raises(FitError, match="lower --pretraining-learning-rate"):
        fit(aligned, aligned_split, changed(options, pretraining_learning_rate=math.inf), fold=0, device=CPU)
    alone = dataclasses.replace(aligned_split, background=np.array([], np.int64))
    with pytest.raises(DataError, match="leave out --background none, or take --teacher none"):
        fit(aligned, alone, options, fold=0, device=CPU)

    def too_large(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")

    for owner, name in ((module, "student_inputs"), (Teacher, "embed")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, too_large)
            with pytest.raises(FitError, match="memory is too small: lower --batch-size, or name fewer background"):
                fit(aligned, aligned_split, changed(options, seed=2), fold=0, device=CPU)
