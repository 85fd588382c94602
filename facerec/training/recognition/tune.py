"""Search hyper-parameters: train with every combination of a grid and compare the validation accuracies."""

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

from facerec.atomic_write import atomic_write
from facerec.training.dataset import FaceDataset
from facerec.training.errors import FitError, OptionError
from facerec.training.options import RecognizerModelOptions, TuneOptions, changed
from facerec.training.plots import save_plots
from facerec.training.recognition.fit import fit, fit_recipe
from facerec.training.split import Split

GRID: dict[str, list[Any]] = {
    "embedding_size": [128, 256, 512],
    "unfrozen_blocks": [0, 3, RecognizerModelOptions.unfrozen_blocks],
    "learning_rate": [1e-4, 1e-3, 3e-3],
}


def tune(dataset: FaceDataset, split: Split, options: TuneOptions, *, device: torch.device) -> pd.DataFrame:
    """Train with each combination of `GRID` that the study in the database doesn't hold yet.

    A study belongs to one set of pictures and options. It continues where it was stopped, and several machines with one
    database share its trials.

    Returns:
        The finished trials, best first, with the columns of the grid, `validation_accuracy` and `seconds`.

    Raises:
        OptionError: the database can't be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    checkpoints = options.training.checkpoints
    checkpoints.mkdir(parents=True, exist_ok=True)
    try:
        study = optuna.create_study(
            study_name=_study_name(dataset, options),
            storage=options.tuning_storage or f"sqlite:///{checkpoints / 'tuning.db'}",
            sampler=optuna.samplers.GridSampler(GRID, seed=options.data.seed),
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
        with tempfile.TemporaryDirectory(prefix="trial-", dir=checkpoints) as folder:
            try:
                chosen = changed(options, **choice, checkpoints=Path(folder), resume=False)
                model = fit(dataset, split, chosen, fold=0, device=device)
            except FitError as error:  # with this combination the loss is no number, or the memory is too small
                tqdm.write(f"{choice}: {error}")
                return 0.0
        return model.history[-1].validation_accuracy

    size = math.prod(len(values) for values in GRID.values())
    while missing := size - len(_finished_trials(study)):
        _enqueue_failed_trials(study)
        study.optimize(validation_accuracy, n_trials=missing, show_progress_bar=True)
    return _finished_trials(study)


def save_trials(trials: pd.DataFrame, options: TuneOptions) -> None:
    """Write the trials to `tuning.csv` beside the model, draw them, and print them."""
    options.publishing.output.mkdir(parents=True, exist_ok=True)
    with atomic_write(options.publishing.output / "tuning.csv") as file:
        trials.to_csv(file, index=False)
    save_plots({"tuning": plot_trials(trials)}, options.publishing.images)
    print(trials.to_string())


def plot_trials(trials: pd.DataFrame) -> Figure:
    """Draw the validation accuracies as one heat map for each number of unfrozen blocks."""
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


def _study_name(dataset: FaceDataset, options: TuneOptions) -> str:
    """A name that is the same for the same grid, pictures and options."""
    described = json.dumps(fit_recipe(dataset, options) | GRID, sort_keys=True)
    return f"grid-{sha256(described.encode()).hexdigest()[:12]}"


def _enqueue_failed_trials(study: optuna.Study) -> None:
    """Enqueue combinations whose trial was stopped: the sampler counts them as done."""
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


def _finished_trials(study: optuna.Study) -> pd.DataFrame:
    """The finished trials, best first, each combination once."""
    trials = study.get_trials(states=[TrialState.COMPLETE])
    rows = [
        {
            **trial.params,
            "validation_accuracy": trial.value,
            "seconds": round(trial.duration.total_seconds(), 1) if trial.duration else None,
        }
        for trial in trials
    ]
    if not rows:
        return pd.DataFrame()
    # Two machines that finish at the same time may both have trained the last combination.
    distinct = pd.DataFrame(rows).drop_duplicates(list(GRID))
    return distinct.sort_values("validation_accuracy", ascending=False, ignore_index=True)
