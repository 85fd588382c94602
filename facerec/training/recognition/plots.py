"""Plots of a training run and its evaluation."""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from facerec.training.backbone import denormalize
from facerec.training.dataset import FaceDataset
from facerec.training.metrics import reliability
from facerec.training.plots import (
    MOST_NAMES,
    NAME_POINTS,
    WIDTH_INCHES,
    display_names,
    height_inches,
    write_out_numbers,
)
from facerec.training.recognition.evaluate import Evaluation
from facerec.training.recognition.trained_model import EpochStats, PretrainingEpoch
from facerec.training.split import Split

ALL_SHOWN_UP_TO, MOST_CONFUSED = 20, 40
"""Number of people whose whole confusion matrix is shown, and most people of a larger one who are."""


def draw_run(
    dataset: FaceDataset,
    split: Split,
    *,
    augment: Callable[..., Tensor],
    pretraining: list[PretrainingEpoch],
    history: list[EpochStats],
    evaluation: Evaluation,
) -> dict[str, Figure]:
    """All plots of a run, by the name of their file without its suffix.

    Args:
        dataset: the crops.
        split: the split that the network was trained with.
        augment: makes random network inputs of crops, like `augment.augment`.
        pretraining: all epochs before those of the history.
        history: all epochs. If it is empty, nothing was trained, and there are no plots of training.
        evaluation: of the network after the last epoch.
    """
    training = {}
    if history:
        training = {
            "augmented": plot_augmented(dataset, split, augment=augment),
            "learning": plot_learning(pretraining, history),
        }
    return training | {
        "confusion": plot_confusion(evaluation, split.people),
        "recall": plot_recall(evaluation, split.people),
        "reliability": plot_reliability(evaluation),
        "similarities": plot_similarities(evaluation),
        "open_set": plot_open_set(evaluation),
    }


def plot_augmented(dataset: FaceDataset, split: Split, *, augment: Callable[..., Tensor]) -> Figure:
    """Plot five training crops, each with seven random changes by `augment`."""
    chosen = np.random.default_rng(0).choice(split.train, min(5, len(split.train)), replace=False)
    generator = torch.Generator().manual_seed(0)
    figure = Figure(figsize=(10, 1.25 * len(chosen) + 0.4))
    grid = figure.subplots(len(chosen), 8, squeeze=False)
    inputs = augment(torch.from_numpy(dataset.crops[np.repeat(chosen, 7)]), generator=generator)
    changed = denormalize(inputs).permute(0, 2, 3, 1).round().to(torch.uint8).numpy()
    for row, image, augmented in zip(grid, chosen, np.split(changed, len(chosen)), strict=True):
        for axes, pixels in zip(row, (dataset.crops[image], *augmented), strict=True):
            axes.imshow(pixels)
            axes.axis("off")
    figure.suptitle("Training crops (left) and random changes of them, as the network sees them", fontsize=9)
    return figure


def plot_learning(pretraining: list[PretrainingEpoch], history: list[EpochStats]) -> Figure:
    """Plot what each epoch of pretraining left, then each epoch's loss and accuracy, in training and validation."""
    figure = Figure(figsize=(10, 7.2 if pretraining else 3.8))
    panels = figure.subplot_mosaic("PP;LA" if pretraining else "LA")
    losses, accuracies = panels["L"], panels["A"]
    if pretraining:
        left = panels["P"]
        epochs = np.arange(1, len(pretraining) + 1)
        left.plot(epochs, [epoch.train_left for epoch in pretraining], marker=".", label="training (changed)")
        left.plot(epochs, [epoch.unknown_left for epoch in pretraining], marker=".", label="unknown people (unchanged)")
        left.set(title="Pretraining: left of the teacher's variance", xlabel="epoch", ylabel="fraction", ylim=(0, 1))
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        left.legend()
    epochs = np.arange(1, len(history) + 1)
    for name, label in (("train", "training (augmented, all classes)"), ("validation", "validation (known people)")):
        losses.plot(epochs, [getattr(epoch, f"{name}_loss") for epoch in history], marker=".", label=label)
        accuracies.plot(
            epochs, [100 * getattr(epoch, f"{name}_accuracy") for epoch in history], marker=".", label=label
        )
    compared = "training by teacher and names, validation by names" if pretraining else "training with the margin"
    losses.set(title=f"Loss ({compared})", xlabel="epoch", ylabel="loss")
    losses.set_yscale("log")
    write_out_numbers(losses.yaxis)
    for axes in (losses, accuracies):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    accuracies.set(title="Accuracy", xlabel="epoch", ylabel="% correct", ylim=(None, 101))
    accuracies.legend(loc="lower right")
    return figure


def plot_confusion(evaluation: Evaluation, people: list[str]) -> Figure:
    """Plot the confusion matrix of the test images. Rows are the correct people and sum to 100 %.

    Of many people, only those who are confused with one another are shown.
    """
    counts = np.zeros((len(people), len(people)))
    np.add.at(counts, (evaluation.labels, evaluation.similarities.argmax(axis=1)), 1)
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = counts * ~np.eye(len(people), dtype=bool)
    confused = wrong.sum(axis=0) + wrong.sum(axis=1)
    most = min(len(people), max(ALL_SHOWN_UP_TO, min(int((confused > 0).sum()), MOST_CONFUSED)))
    shown = np.sort(np.argsort(-confused, kind="stable")[:most])
    figure = Figure(figsize=(WIDTH_INCHES, 7))
    axes = figure.subplots()
    names = display_names(people[person] for person in shown)
    shown_percent = percent[np.ix_(shown, shown)]
    axes.imshow(np.ma.masked_equal(shown_percent, 0), cmap="viridis_r", vmin=0, vmax=100)
    for row, column in np.argwhere(shown_percent):
        value = shown_percent[row, column]
        colour = "white" if value > 50 else "black"
        axes.annotate(f"{value:.0f}", (column, row), ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(np.arange(most), names, rotation=90, fontsize=NAME_POINTS)
    axes.set_yticks(np.arange(most), names, fontsize=NAME_POINTS)
    axes.grid(visible=False)
    axes.set(xlabel="answer, % of the person's test images", ylabel="person")
    kind = "fewer" if most == MOST_CONFUSED else "no"
    others = f"\nNot shown: {len(people) - most} people with {kind} mistakes" if most < len(people) else ""
    axes.set_title(f"{int(wrong.sum())} of {len(evaluation.labels)} test images named wrongly{others}", fontsize=11)
    return figure


def plot_recall(evaluation: Evaluation, people: list[str]) -> Figure:
    """Plot the recall of each person with its 95 % interval, lowest first."""
    order = sorted(
        range(len(people)), key=lambda person: (evaluation.recalls[person].value, evaluation.recalls[person].low)
    )[:MOST_NAMES]
    recalls = [evaluation.recalls[person] for person in order]
    values = np.array([100 * recall.value for recall in recalls])
    errors = np.abs(np.array([[100 * recall.low, 100 * recall.high] for recall in recalls]).T - values)
    figure = Figure(figsize=(WIDTH_INCHES, height_inches(len(order))))
    axes = figure.subplots()
    rows = np.arange(len(order))
    axes.errorbar(values, rows, xerr=errors, fmt="o", markersize=4, elinewidth=1, ecolor="silver")
    names = display_names(people[person] for person in order)
    labels = [f"{name} ({recall.total})" for name, recall in zip(names, recalls, strict=True)]
    axes.set_yticks(rows, labels, fontsize=NAME_POINTS)
    axes.set(xlabel="recall, %", xlim=(None, 103), ylim=(len(order) - 0.4, -0.6))
    figure.suptitle("Test recall of each person (test images), with Wilson's 95 % interval", fontsize=11)
    axes.grid(visible=False, axis="y")
    return figure


def plot_reliability(evaluation: Evaluation) -> Figure:
    """Plot accuracy against confidence of the calibrated probabilities, and the number of images by confidence.

    Source: reliability diagrams, Guo et al., 2017, arXiv:1706.04599.
    """
    confidence, accuracy, counts = reliability(evaluation.probabilities, evaluation.labels)
    filled = counts > 0
    figure = Figure(figsize=(5.5, 5.5))
    axes, histogram = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    axes.plot([0, 100], [0, 100], color="grey", linestyle=":", label="perfectly calibrated")
    size = 20 + counts[filled]
    axes.scatter(
        100 * confidence[filled], 100 * accuracy[filled], size, label="test images (area: their number)", zorder=3
    )
    axes.set(ylabel="accuracy, %", title=f"Expected calibration error {evaluation.metrics.ece:.2%}")
    axes.legend()
    edges = np.linspace(0, 100, len(counts) + 1)
    histogram.bar(edges[:-1], counts, width=np.diff(edges), align="edge")
    histogram.set(yscale="log", ylabel="images", xlabel="confidence, %")
    write_out_numbers(histogram.yaxis)
    return figure


def plot_similarities(evaluation: Evaluation) -> Figure:
    """Plot histograms of the highest similarity of known and of unknown people, with the exported threshold."""
    figure = Figure(figsize=(7, 3.8))
    axes = figure.subplots()
    bins = np.linspace(min(evaluation.unknown.max(axis=1).min(), evaluation.similarities.max(axis=1).min()), 1, 60)
    for label, values in (("unknown people", evaluation.unknown), ("known people", evaluation.similarities)):
        axes.hist(
            values.max(axis=1), bins.tolist(), density=True, alpha=0.6, label=f"{label} ({len(values):,} test images)"
        )
    axes.axvline(evaluation.threshold, color="black", linestyle="--", label=f"threshold {evaluation.threshold:.3f}")
    axes.set(xlabel="highest cosine similarity", ylabel="density", title="Known and unknown people")
    axes.legend(loc="upper center")
    return figure


def plot_open_set(evaluation: Evaluation) -> Figure:
    """Plot the detection and identification rate (DIR) against the false accept rate (FAR) over all thresholds."""
    unknown = np.sort(evaluation.unknown.max(axis=1))
    highest = evaluation.similarities.max(axis=1)
    correct = evaluation.similarities.argmax(axis=1) == evaluation.labels
    rates = np.geomspace(1 / len(unknown), 1, 200)
    thresholds = np.quantile(unknown, 1 - rates)
    identified = [100 * np.mean(correct & (highest > threshold)) for threshold in thresholds]
    figure = Figure(figsize=(7, 3.8))
    axes = figure.subplots()
    axes.plot(100 * rates, identified)
    for rate, proportion in ((1, evaluation.metrics.dir_at_far_1), (10, evaluation.metrics.dir_at_far_10)):
        axes.plot(rate, 100 * proportion.value, "o", label=f"FAR {rate} %: DIR {proportion.value:.2%}")
    axes.set(
        xscale="log",
        xlabel="unknown people accepted (FAR), %",
        ylabel="known people identified (DIR), %",
    )
    axes.set_title(f"Open set: {len(highest):,} images of known people, {len(unknown):,} of unknown people")
    write_out_numbers(axes.xaxis)
    axes.legend(loc="lower right")
    return figure
