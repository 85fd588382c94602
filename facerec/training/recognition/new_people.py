"""Measure how well people are recognized whom the network never saw: enrolled with a few images, tested on the rest."""

from dataclasses import dataclass

import numpy as np
import torch

from facerec.training.metrics import Floats, Labels, detection_and_identification, top_k
from facerec.training.recognition.embeddings import template
from facerec.training.recognition.trained_model import TrainedModel
from facerec.training.split import Split

ENROLLED_IMAGES = (1, 3, 5, 9)
DRAWS = 10


@dataclass(frozen=True)
class NewPeopleMetrics:
    """How well new people are recognized, on a scale of 0 to 1, as means over ten draws of the enrolled images.

    Attributes:
        enrolled_images: of each person. Their mirror images don't count: the service doesn't enrol them either.
        top_1: images that are named correctly, among the new people.
        top_1_with_known: the same, among the new and the known people.
        dir_at_far_1: named correctly among the new people, above the threshold that 1 % of the unknown people exceed.
        dir_at_far_10: the same for 10 %.
    """

    enrolled_images: int
    top_1: float
    top_1_with_known: float
    dir_at_far_1: float
    dir_at_far_10: float


def measure_new_people(model: TrainedModel, split: Split) -> list[NewPeopleMetrics]:
    """Enrol the new people with 1, 3, 5 and 9 images. The list is empty if the split has fewer than two new people."""
    if len(split.new_people) < 2:
        return []
    unknown = model.embeddings(split.unknown_test)
    measured = []
    for enrolled in ENROLLED_IMAGES:
        draws = []
        for seed in range(DRAWS):
            random = np.random.default_rng(seed)
            shuffled = [random.permutation(images) for images in split.new_people]
            templates = torch.stack([template(model.embeddings(images[:enrolled])) for images in shuffled])
            tests = [images[enrolled:] for images in shuffled]
            labels: Labels = np.repeat(np.arange(len(tests)), [len(images) for images in tests])
            embeddings = model.embeddings(np.concatenate(tests))
            new, known = embeddings @ templates.T, embeddings @ model.directions.T
            draws.append(_metrics(new.numpy(), known.numpy(), labels, (unknown @ templates.T).numpy()))
        measured.append(NewPeopleMetrics(enrolled, *np.mean(draws, axis=0).tolist()))
    return measured


def _metrics(new: Floats, known: Floats, labels: Labels, unknown: Floats) -> list[float]:
    """The metrics of one draw in the order of `NewPeopleMetrics`."""
    proportions = [
        top_k(new, labels, 1),
        top_k(np.concatenate([new, known], axis=1), labels, 1),
        *(detection_and_identification(new, labels, unknown, false_accept_rate=rate) for rate in (0.01, 0.1)),
    ]
    return [proportion.value for proportion in proportions]
