import math
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from facerec.training.dataset import FaceDataset, load_dataset
from facerec.training.errors import OptionError
from facerec.training.options import RecognizerOptions, TuneOptions, changed
from facerec.training.recognition import tune as module
from facerec.training.recognition.fit import fit
from facerec.training.recognition.tune import save_trials, tune
from facerec.training.split import Split, split_dataset

pytestmark = pytest.mark.usefixtures("toy_backbone")


def tune_options(options: RecognizerOptions, **changes: Any) -> TuneOptions:
    """The options of a search with the recipe of `options`, with some values changed."""
    return changed(TuneOptions(**vars(options)), **changes)


def test_a_stopped_search_goes_on(
    small_options: RecognizerOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module, "GRID", {"embedding_size": [128], "unfrozen_blocks": [0, 3], "learning_rate": [1e-3, 3e-3]}
    )
    options = tune_options(
        small_options, epochs=1, checkpoints=tmp_path / "checkpoints", output=tmp_path, images=tmp_path
    )
    dataset = load_dataset(options.data.data, data_dir=options.data.data_dir)
    split = split_dataset(dataset, min_images=5, seed=0, fold=0)
    trained: list[RecognizerOptions] = []

    def counting(*args: Any, **kwargs: Any) -> Any:
        trained.append(args[2])
        if len(trained) == 3:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    monkeypatch.setattr(module, "fit", counting)
    with pytest.raises(KeyboardInterrupt):
        tune(dataset, split, options, device=torch.device("cpu"))
    trials = tune(dataset, split, options, device=torch.device("cpu"))
    assert len(trained) == 5, "two before the stop, the stopped one, and two after it"
    assert {(trial.model.unfrozen_blocks, trial.training.learning_rate) for trial in trained} == {
        (blocks, rate) for blocks in (0, 3) for rate in (1e-3, 3e-3)
    }
    assert len(trials) == 4
    assert trials["validation_accuracy"].is_monotonic_decreasing
    assert not list(options.training.checkpoints.glob("trial-*"))

    save_trials(trials, options)
    assert (tmp_path / "tuning.csv").read_text().startswith("embedding_size,unfrozen_blocks,learning_rate,validation_")
    assert (tmp_path / "tuning.png").stat().st_size > 10_000


def test_a_combination_that_two_machines_trained_counts_once(
    small_options: RecognizerOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module, "GRID", {"embedding_size": [128], "unfrozen_blocks": [0], "learning_rate": [1e-3, 3e-3]}
    )
    options = tune_options(small_options, epochs=1, checkpoints=tmp_path)
    dataset = load_dataset(options.data.data, data_dir=options.data.data_dir)
    split = split_dataset(dataset, min_images=5, seed=0, fold=0)
    tune(dataset, split, options, device=torch.device("cpu"))
    (study,) = optuna.get_all_study_summaries(f"sqlite:///{tmp_path / 'tuning.db'}")
    again = optuna.load_study(study_name=study.study_name, storage=f"sqlite:///{tmp_path / 'tuning.db'}")
    again.add_trial(again.trials[0])
    assert len(tune(dataset, split, options, device=torch.device("cpu"))) == 2


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all.db", "oracle+oracledb://host/name"])
def test_a_database_that_can_not_be_used_says_what_is_wanted(
    url: str, dataset: FaceDataset, split: Split, small_options: RecognizerOptions, tmp_path: Path
) -> None:
    options = tune_options(small_options, checkpoints=tmp_path, tuning_storage=url)
    with pytest.raises(OptionError, match=r"can't use the database: .*--tuning-storage takes an SQLAlchemy URL"):
        tune(dataset, split, options, device=torch.device("cpu"))


def test_a_combination_that_can_not_be_trained_is_the_worst(
    small_options: RecognizerOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module, "GRID", {"embedding_size": [128], "unfrozen_blocks": [0], "learning_rate": [1e-3, math.inf]}
    )
    options = tune_options(small_options, epochs=1, checkpoints=tmp_path)
    dataset = load_dataset(options.data.data, data_dir=options.data.data_dir)
    split = split_dataset(dataset, min_images=5, seed=0, fold=0)
    trials = tune(dataset, split, options, device=torch.device("cpu"))
    assert trials["learning_rate"].tolist() == [1e-3, math.inf]
    assert trials["validation_accuracy"].tolist()[1] == 0
