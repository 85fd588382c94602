"""Describe a data set and its split in words and plots, before any training."""

import textwrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from pydantic import JsonValue

from facerec.inference.cropping import CROP_SIZE, Crop
from facerec.training.dataset import FaceDataset
from facerec.training.people_folder import summarize_skipped
from facerec.training.plots import (
    MOST_NAMES,
    NAME_POINTS,
    WIDTH_INCHES,
    display_names,
    height_inches,
    write_out_numbers,
)
from facerec.training.split import Indices, Split

CHANNEL_COLOURS = {"red": "#c0392b", "green": "#27ae60", "blue": "#2980b9"}
"""Colours of the channels' histograms, in the order of the channels."""

SAMPLE_COLUMNS, SAMPLE_NAME_LENGTH = 7, 17
"""Pictures in a row of the samples, and characters in a line of the names above them."""


def draw_data(dataset: FaceDataset, split: Split) -> dict[str, Figure]:
    """All plots of a data set, by the name of their file without its suffix."""
    return {
        "classes": plot_classes(split),
        "split": plot_split(dataset, split),
        "samples": plot_samples(dataset, split),
        "properties": plot_properties(dataset, split),
    }


def plot_classes(split: Split) -> Figure:
    """Plot the number of train, validation and test images of each known person as stacked bars, highest first."""
    parts = {
        part: split.counts(indices)
        for part, indices in (("train", split.train), ("validation", split.validation), ("test", split.test))
    }
    total = np.sum(list(parts.values()), axis=0)
    order = np.argsort(-total, kind="stable")[:MOST_NAMES]
    rows = np.arange(len(order))
    figure = Figure(figsize=(WIDTH_INCHES, height_inches(len(order))))
    axes = figure.subplots()
    base = np.zeros(len(order), dtype=np.int64)
    for part, counts in parts.items():
        axes.barh(rows, counts[order], left=base, height=0.8, linewidth=0, label=f"{part}: {counts.sum():,}")
        base += counts[order]
    for row, count in enumerate(total[order]):
        axes.annotate(f" {count}", (count, row), ha="left", va="center", fontsize=NAME_POINTS)
    axes.set_yticks(rows, display_names(split.people[person] for person in order), fontsize=NAME_POINTS)
    axes.set(xlabel="images", xlim=(0, 1.06 * total.max()), ylim=(len(order) - 0.4, -0.6))
    axes.set_title(
        f"{total.sum():,} images of {len(total):,} known people: {total.max() / total.sum():.1%} are of one person"
    )
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=len(parts), fontsize=10)
    return figure


def plot_split(dataset: FaceDataset, split: Split) -> Figure:
    """Plot a stacked histogram of the number of images per person: known, background, new and unknown people."""
    counts = dataset.counts()
    labels = np.full(len(counts), -1)
    labels[dataset.identities] = split.labels
    known = (labels >= 0) & (labels < len(split.people))
    new = np.isin(np.arange(len(counts)), [dataset.identities[images[0]] for images in split.new_people])
    uses = {
        "unknown, never trained on": (labels < 0) & ~new,
        "background, training only": labels >= len(split.people),
        "new, never trained on": new,
        "known": known,
    }
    smallest = int(counts[known].min())
    edges = np.concatenate([np.geomspace(1, smallest, 16), np.geomspace(smallest, counts.max() + 1, 12)]).round()
    figure = Figure(figsize=(8, 3.6))
    axes = figure.subplots()
    axes.hist(
        [counts[people] for people in uses.values()],
        np.unique(edges).tolist(),
        stacked=True,
        label=[f"{use}: {people.sum():,} people, {counts[people].sum():,} images" for use, people in uses.items()],
    )
    axes.set(xscale="log", yscale="log", xlabel="images of a person", ylabel="people", title="Use of the images")
    write_out_numbers(axes.xaxis)
    write_out_numbers(axes.yaxis)
    axes.legend()
    return figure


def plot_samples(dataset: FaceDataset, split: Split) -> Figure:
    """Plot the first training image of each known person."""
    people = range(len(split.people))[:MOST_NAMES]
    first = [int(split.train[split.labels[split.train] == person].min()) for person in people]
    columns = min(SAMPLE_COLUMNS, len(first))
    rows = -(-len(first) // columns)
    figure = Figure(figsize=(WIDTH_INCHES, rows * (WIDTH_INCHES / columns + 0.35) + 0.4))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, image, name in zip(grid.flat, first, display_names(split.people), strict=False):
        axes.imshow(dataset.crops[image])
        axes.set_title("\n".join(textwrap.wrap(name, SAMPLE_NAME_LENGTH, max_lines=2)), fontsize=NAME_POINTS, pad=3)
    of_all = f" of {len(split.people):,}" if len(first) < len(split.people) else ""
    figure.suptitle(f"One image of each of {len(first)}{of_all} known people", fontsize=10)
    return figure


def plot_properties(dataset: FaceDataset, split: Split) -> Figure:
    """Plot channel histograms, the brightness and contrast of each image, and the mean image of the known people."""
    known = np.sort(np.concatenate([split.train, split.validation, split.test]))
    histogram, brightness, contrast, mean = _pixel_statistics(dataset, known)
    figure = Figure(figsize=(11, 3.2))
    channels, light, mean_image = figure.subplots(1, 3, width_ratios=[1.2, 1.2, 0.8])
    for (name, colour), counts in zip(CHANNEL_COLOURS.items(), histogram, strict=True):
        channels.plot(np.arange(256), 100 * counts / counts.sum(), color=colour, label=name)
    channels.set(title="Pixel values", xlabel="value", ylabel="% of pixels", ylim=(0, 1.5))
    channels.legend()
    light.plot(brightness, contrast, ".", markersize=2, alpha=0.5)
    light.set(title="Each image", xlabel="brightness (mean of pixels)", ylabel="contrast (deviation of pixels)")
    mean_image.imshow(mean)
    mean_image.axis("off")
    mean_image.set_title("Mean of all")
    figure.suptitle(f"{len(known):,} images of known people, {CROP_SIZE} x {CROP_SIZE} pixels", fontsize=10)
    return figure


def _pixel_statistics(
    dataset: FaceDataset, indices: Indices
) -> tuple[NDArray[np.int64], list[float], list[float], NDArray[np.uint8]]:
    """Statistics of N images.

    Returns:
        Histogram of all pixels by channel, int64 `[3, 256]`.
        Brightness of each image, the mean of its pixels, 0 to 255.
        Contrast of each image, the standard deviation of its pixels.
        Mean image, uint8 `[250, 250, 3]`, RGB.
    """
    histogram = np.zeros((3, 256), dtype=np.int64)
    total = np.zeros((CROP_SIZE, CROP_SIZE, 3))
    brightness, contrast = [], []
    for image in indices:
        crop = dataset.crops[image]
        histogram += channel_histogram(crop)
        total += crop
        brightness.append(float(crop.mean()))
        contrast.append(float(crop.std()))
    return histogram, brightness, contrast, (total / len(indices)).round().astype(np.uint8)


def describe_data(dataset: FaceDataset, split: Split) -> dict[str, JsonValue]:
    """The data set and its split in words, as a table of names and values for the report."""
    known = sorted([*split.train, *split.validation, *split.test])
    train, validation, test = len(split.train), len(split.validation), len(split.test)
    mean, deviation = channel_statistics(dataset, np.array(known))
    return {
        "pictures": f"{len(dataset.paths):,} of {len(dataset.names):,} people",
        "pictures skipped": summarize_skipped(dataset.skipped),
        "known people": f"{len(split.people):,} with {len(known):,} images",
        "known people's images": f"{train:,} train, {validation:,} validation, {test:,} test",
        "background people, training only": f"{split.background_people:,} with {len(split.background):,} images",
        "new people, never trained on": f"{len(split.new_people)} with {sum(map(len, split.new_people)):,} images",
        "unknown people": (
            f"{split.unknown_source}: {len(split.unknown_validation):,} images choose the threshold, "
            f"{len(split.unknown_test):,} test it"
        ),
        "channel means of the known people's images": ", ".join(f"{value:.4f}" for value in mean),
        "channel standard deviations": ", ".join(f"{value:.4f}" for value in deviation),
    }


def channel_statistics(dataset: FaceDataset, indices: Indices) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of the red, green and blue pixels of some images, float64 `[3]` each, from 0 to 1."""
    histogram = sum((channel_histogram(dataset.crops[image]) for image in indices), np.zeros((3, 256), np.int64))
    values = np.arange(256) / 255
    weights = histogram / histogram.sum(axis=1, keepdims=True)
    mean = weights @ values
    return mean, np.sqrt(weights @ values**2 - mean**2)


def channel_histogram(crop: Crop) -> NDArray[np.int64]:
    """The number of pixels of each value in each channel of a crop, int64 `[3, 256]`."""
    return np.stack([np.bincount(crop[..., channel].ravel(), minlength=256) for channel in range(3)])
