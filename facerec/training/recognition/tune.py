"""The search for hyper-parameters: every combination of a grid, by validation accuracy."""

import dataclasses
import json
import math
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError
from tqdm import tqdm

from facerec.training.dataset import FaceDataset
from facerec.training.distributed import world_size
from facerec.training.errors import OptionError, TrainingError
from facerec.training.options import Options
from facerec.training.plots import save_plots
from facerec.training.recognition.fit import fit, recipe_of
from facerec.training.split import Split

GRID: dict[str, list[Any]] = {
    "embedding_size": [128, 256, 512],
    "unfrozen_blocks": [0, 3, Options.unfrozen_blocks],
    "learning_rate": [1e-4, 1e-3, 3e-3],
}


def tune(dataset: FaceDataset, split: Split, options: Options, *, device: torch.device) -> pd.DataFrame:
    """Train with each combination of `GRID` that the study in `options.tuning_storage` doesn't hold yet.

    The study is one of the pictures and the other options, so it resumes where it was stopped, and several machines
    with one database share its trials.

    Returns:
        The finished trials, best first: a column for each option of the grid, `validation_accuracy`, `best_epoch` and
        `seconds`.

    Raises:
        TrainingError: started in several processes.
        OptionError: the database can't be used.
    """
    if world_size() > 1:
        raise TrainingError("--tune runs in one process; several machines share a search through --tuning-storage.")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options.checkpoints.mkdir(parents=True, exist_ok=True)
    try:
        study = optuna.create_study(
            study_name=_study_name(dataset, options),
            storage=options.tuning_storage or f"sqlite:///{options.checkpoints / 'tuning.db'}",
            sampler=optuna.samplers.GridSampler(GRID, seed=options.seed),
            direction="maximize",
            load_if_exists=True,
        )
    except (SQLAlchemyError, ImportError) as error:
        raise OptionError(
            f"can't use the database: {str(error).splitlines()[0]}. --tuning-storage takes an SQLAlchemy URL "
            "(sqlite:///FILE, postgresql://USER:PASSWORD@HOST/NAME), and the package of its driver has to be installed."
        ) from error

    def validation_accuracy(trial: optuna.Trial) -> float:
        choice = {name: trial.suggest_categorical(name, values) for name, values in GRID.items()}
        with tempfile.TemporaryDirectory(prefix="trial-", dir=options.checkpoints) as folder:
            chosen = dataclasses.replace(options, **choice, checkpoints=Path(folder), resume=False)
            try:
                fitted = fit(dataset, split, chosen, fold=0, device=device)
            except TrainingError as error:  # the loss of this combination is no number, or it needs too much memory
                tqdm.write(f"{choice}: {error}")
                trial.set_user_attr("best_epoch", 0)
                return 0.0
        trial.set_user_attr("best_epoch", fitted.best_epoch)
        return fitted.history[fitted.best_epoch - 1].validation_accuracy

    size = math.prod(len(values) for values in GRID.values())
    while missing := size - len(_table(study)):
        _retry_failed(study)
        study.optimize(validation_accuracy, n_trials=missing, show_progress_bar=True)
    return _table(study)


def save_trials(trials: pd.DataFrame, options: Options) -> None:
    """Write the trials to `tuning.csv` beside the model, and their figure."""
    options.output.mkdir(parents=True, exist_ok=True)
    trials.to_csv(options.output / "tuning.csv", index=False)
    save_plots({"tuning": tuning_figure(trials)}, options.images)
    print(trials.to_string())


def tuning_figure(trials: pd.DataFrame) -> Figure:
    """Validation accuracy over the grid: a heat map for each number of unfrozen blocks."""
    blocks = sorted(trials["unfrozen_blocks"].unique())
    figure = Figure(figsize=(4.2 * len(blocks), 3.4))
    panels = figure.subplots(1, len(blocks), squeeze=False)[0]
    percent = 100 * trials["validation_accuracy"]
    for axes, unfrozen in zip(panels, blocks, strict=True):
        chosen = trials[trials["unfrozen_blocks"] == unfrozen].assign(percent=percent)
        table = chosen.pivot_table(index="embedding_size", columns="learning_rate", values="percent")
        sns.heatmap(
            table, ax=axes, annot=True, fmt=".1f", vmin=percent.min(), vmax=percent.max(), cmap="viridis", cbar=False
        )
        axes.set(title=f"{unfrozen} unfrozen blocks", xlabel="learning rate", ylabel="embedding size")
    figure.suptitle(f"Validation accuracy in %, {len(trials)} trials")
    return figure


def _study_name(dataset: FaceDataset, options: Options) -> str:
    """Names the grid, and what all trials share."""
    described = json.dumps(recipe_of(dataset, options) | GRID, sort_keys=True)
    return f"grid-{sha256(described.encode()).hexdigest()[:12]}"


def _retry_failed(study: optuna.Study) -> None:
    """Put combinations whose trial was stopped back in line: the sampler takes them for done."""
    done = [trial.params for trial in study.get_trials(states=[TrialState.COMPLETE])]
    for trial in study.get_trials(states=[TrialState.FAIL]):
        if trial.params not in done:
            again = optuna.trial.create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                system_attrs=trial.system_attrs,
            )
            study.add_trial(again)
            done.append(trial.params)


def _table(study: optuna.Study) -> pd.DataFrame:
    """The finished trials, best first, each combination once."""
    trials = study.get_trials(states=[TrialState.COMPLETE])
    rows = [
        {
            **trial.params,
            "validation_accuracy": trial.value,
            "best_epoch": trial.user_attrs["best_epoch"],
            "seconds": round(trial.duration.total_seconds(), 1) if trial.duration else None,
        }
        for trial in trials
    ]
    if not rows:
        return pd.DataFrame()
    # Of two machines that end together both may train the last combination.
    distinct = pd.DataFrame(rows).drop_duplicates(list(GRID))
    return distinct.sort_values("validation_accuracy", ascending=False, ignore_index=True)
