"""Plots of a training run and its evaluation."""

import numpy as np
import seaborn as sns
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from facerec.training.backbone import denormalize
from facerec.training.dataset import FaceDataset
from facerec.training.metrics import reliability
from facerec.training.recognition.augment import augment
from facerec.training.recognition.evaluate import Evaluation
from facerec.training.recognition.trained_model import EpochStats
from facerec.training.split import Split


def draw_run(
    dataset: FaceDataset, split: Split, *, history: list[EpochStats], evaluation: Evaluation
) -> dict[str, Figure]:
    """All plots of a run, by the name of their file without its suffix.

    Args:
        dataset: the crops.
        split: the split that the network was trained with.
        history: all epochs. If it is empty, nothing was trained, and there are no plots of training.
        evaluation: of the network after the last epoch.
    """
    training = {"augmented": plot_augmented(dataset, split), "learning": plot_learning(history)} if history else {}
    return training | {
        "confusion": plot_confusion(evaluation, split.people),
        "recall": plot_recall(evaluation, split.people),
        "reliability": plot_reliability(evaluation),
        "similarities": plot_similarities(evaluation),
        "open_set": plot_open_set(evaluation),
    }


def _display_names(names: list[str]) -> list[str]:
    """Names with spaces in place of underscores."""
    return [name.replace("_", " ") for name in names]


def plot_augmented(dataset: FaceDataset, split: Split) -> Figure:
    """Plot five training crops, each with seven random changes."""
    chosen = np.random.default_rng(0).choice(split.train, min(5, len(split.train)), replace=False)
    generator = torch.Generator().manual_seed(0)
    figure = Figure(figsize=(10, 1.25 * len(chosen) + 0.4))
    grid = figure.subplots(len(chosen), 8, squeeze=False)
    for row, image in zip(grid, chosen, strict=True):
        inputs = augment(torch.from_numpy(dataset.crops[[image] * 7]), generator=generator)
        augmented = denormalize(inputs).permute(0, 2, 3, 1).round().to(torch.uint8).numpy()
        for axes, pixels in zip(row, (dataset.crops[image], *augmented), strict=True):
            axes.imshow(pixels)
            axes.axis("off")
    figure.suptitle("Training crops (left) and random changes of them, as the network sees them", fontsize=9)
    return figure


def plot_learning(history: list[EpochStats]) -> Figure:
    """Plot loss and accuracy of each epoch on training and validation images."""
    figure = Figure(figsize=(10, 3.8))
    losses, accuracies = figure.subplots(1, 2)
    epochs = np.arange(1, len(history) + 1)
    for name, label in (("train", "training (augmented, all classes)"), ("validation", "validation (known people)")):
        losses.plot(epochs, [getattr(epoch, f"{name}_loss") for epoch in history], marker=".", label=label)
        accuracies.plot(
            epochs, [100 * getattr(epoch, f"{name}_accuracy") for epoch in history], marker=".", label=label
        )
    losses.set(title="Loss (training with the margin, validation without)", xlabel="epoch", ylabel="cross-entropy")
    losses.set_yscale("log")
    for axes in (losses, accuracies):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    accuracies.set(title="Accuracy", xlabel="epoch", ylabel="% correct", ylim=(None, 101))
    accuracies.legend(loc="lower right")
    return figure


def plot_confusion(evaluation: Evaluation, people: list[str]) -> Figure:
    """Plot the confusion matrix of the test images. Rows are the correct people and sum to 100 %."""
    counts = np.zeros((len(people), len(people)))
    np.add.at(counts, (evaluation.labels, evaluation.similarities.argmax(axis=1)), 1)
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(10, 9))
    axes = figure.subplots()
    names = _display_names(people)
    sns.heatmap(
        np.ma.masked_equal(percent, 0).filled(np.nan),
        ax=axes, cmap="viridis_r", vmin=0, vmax=100, square=True, linewidths=0.1,
        xticklabels=names, yticklabels=names, cbar_kws={"label": "% of the person's test images", "shrink": 0.7},
    )  # fmt: skip
    axes.tick_params(labelsize=5.5)
    axes.grid(visible=False)
    wrong = int(counts.sum() - np.trace(counts))
    axes.set(title=f"{wrong} of {len(evaluation.labels)} test images named wrongly", xlabel="answer", ylabel="person")
    return figure


def plot_recall(evaluation: Evaluation, people: list[str]) -> Figure:
    """Plot the recall of each person with its 95 % interval, lowest first."""
    order = sorted(
        range(len(people)), key=lambda person: (evaluation.recalls[person].value, evaluation.recalls[person].low)
    )
    recalls = [evaluation.recalls[person] for person in order]
    values = np.array([100 * recall.value for recall in recalls])
    errors = np.abs(np.array([[100 * recall.low, 100 * recall.high] for recall in recalls]).T - values)
    figure = Figure(figsize=(10, 4.5))
    axes = figure.subplots()
    axes.errorbar(np.arange(len(people)), values, yerr=errors, fmt="o", markersize=4, elinewidth=1, ecolor="silver")
    labels = [
        f"{name} ({recall.total})"
        for name, recall in zip(_display_names([people[person] for person in order]), recalls, strict=True)
    ]
    axes.set_xticks(np.arange(len(people)), labels, rotation=90, fontsize=6.5)
    axes.set(ylabel="recall, %", ylim=(None, 103), xlim=(-0.7, len(people) - 0.3))
    axes.set_title("Test recall of each person (number of test images), with Wilson's 95 % interval")
    axes.grid(visible=False, axis="x")
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
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(loc="lower right")
    return figure
