"""Names are legible in the plots, however many people there are."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from pydantic import TypeAdapter

from facerec.training.exploration import plot_classes, plot_samples
from facerec.training.metrics import Proportion
from facerec.training.plots import save_plots
from facerec.training.recognition.evaluate import Evaluation, RecognitionMetrics
from facerec.training.recognition.plots import plot_confusion, plot_recall
from facerec.training.split import split_dataset
from tests.training.blank_dataset import blank_dataset
from tests.training.recognition.test_report import FOLD

GITHUB_WIDTH, LEGIBLE = 830, 11
"""Pixels of a picture's width on GitHub, and of the least height of a line of text."""


def names(count: int) -> list[str]:
    return sorted(f"{name}_{number}" for number, name in zip(range(count), itertools.cycle(["Gloria_Arroyo", "Bo"])))


def plots(count: int) -> dict[str, Figure]:
    """The plots with names, of `count` known people, of whom every tenth is confused with the next."""
    people = names(count)
    dataset = blank_dataset(dict.fromkeys(people, 5) | {f"other {number}": 1 for number in range(20)})
    split = split_dataset(dataset, min_images=5, seed=0, fold=0)
    labels = split.labels[split.test]
    similarities = np.eye(count, dtype=np.float32)[np.where(labels % 10, labels, (labels + 1) % count)]
    return {
        "classes": plot_classes(split),
        "samples": plot_samples(dataset, split),
        "confusion": plot_confusion(evaluation(labels, similarities), split.people),
        "recall": plot_recall(evaluation(labels, similarities), split.people),
    }


def evaluation(labels: np.ndarray, similarities: np.ndarray) -> Evaluation:
    correct = similarities.argmax(axis=1) == labels
    return Evaluation(
        temperature=1, threshold=0.5, validation_false_accept_rate=0.01, false_matches=None,
        metrics=TypeAdapter(RecognitionMetrics).validate_python(FOLD | {"new_people": []}),
        recalls=[Proportion.from_hits(correct[labels == person]) for person in range(similarities.shape[1])],
        people=[], mistakes=[], tested=np.arange(len(labels)), accepted=correct, labels=labels,
        similarities=similarities, probabilities=similarities, unknown=similarities,
    )  # fmt: skip


@pytest.mark.parametrize("count", [2, 6, 62, 150])
def test_names_are_legible_as_wide_as_github_shows_a_plot(count: int, tmp_path: Path) -> None:
    drawn = plots(count)
    save_plots(drawn, tmp_path)
    for name, figure in drawn.items():
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width <= GITHUB_WIDTH, f"{name} is shown smaller than it is"
            assert picture.height <= 2_500, name
        shown = [
            text
            for text in figure.findobj(Text)
            if text.get_visible() and ("Gloria" in text.get_text() or "Bo " in text.get_text())
        ]
        assert len(shown) >= min(count, 20), name
        boxes = [text.get_window_extent() for text in shown]
        for text, box in zip(shown, boxes, strict=True):
            assert float(text.get_fontsize()) * figure.dpi / 72 >= LEGIBLE, name
            assert box.x0 >= 0
            assert box.x1 <= GITHUB_WIDTH, f"{name}: {text.get_text()} is cut"
        for (one, box), (other, second) in itertools.combinations(zip(shown, boxes, strict=True), 2):
            assert not box.padded(-1.5).overlaps(second.padded(-1.5)), f"{name}: {one} and {other} overlap"


def test_of_many_people_those_who_are_confused_are_shown() -> None:
    figure = plots(62)["confusion"]
    (axes,) = figure.axes
    shown = [text.get_text().replace(" ", "_") for text in axes.get_yticklabels()]
    people = names(62)
    confused = {people[index] for person in range(0, 62, 10) for index in (person, (person + 1) % 62)}
    assert confused <= {*shown}
    assert len(shown) == 20
    assert "Not shown: 42 people with no mistakes" in axes.get_title()


def test_nobody_is_left_out_of_a_small_confusion_matrix() -> None:
    (axes,) = plots(6)["confusion"].axes
    assert [text.get_text().replace(" ", "_") for text in axes.get_xticklabels()] == names(6)
    assert "Not shown" not in axes.get_title()
