from dataclasses import astuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from facerec.training.recognition.new_people import NewPeopleMetrics, measure_new_people
from facerec.training.recognition.trained_model import TrainedModel
from facerec.training.split import Split
from tests.training.recognition.table_network import table_crops, table_model

COUNTS = (12, 10, 11)
"""Images of three new people. They come first, then those of 20 unknown people."""
NEW, UNKNOWN = sum(COUNTS), 20
DIRECTIONS = functional.normalize(torch.randn(2, 8, generator=torch.Generator().manual_seed(5)))


def split(new_people: int = len(COUNTS)) -> Split:
    nobody = np.array([], np.int64)
    return Split(
        people=["Ann", "Bob"],
        background_people=0,
        labels=np.full(NEW + UNKNOWN, -1),
        train=nobody,
        validation=nobody,
        test=nobody,
        background=nobody,
        new_people=np.split(np.arange(NEW), np.cumsum(COUNTS)[:-1])[:new_people],
        unknown_source="someone",
        unknown_validation=nobody,
        unknown_test=np.arange(NEW, NEW + UNKNOWN),
    )


def model(centres: torch.Tensor, *, noise: float) -> TrainedModel:
    """A model whose embeddings of a new person lie around the person's centre, and those of others anywhere."""
    random = torch.Generator().manual_seed(1)
    faces = torch.cat(
        [centres.repeat_interleave(torch.tensor(COUNTS), dim=0), torch.randn(UNKNOWN, 8, generator=random)]
    )
    table = functional.normalize(faces + noise * torch.randn(faces.shape, generator=random))
    rows = list(range(NEW + UNKNOWN))
    return table_model(table, table_crops(rows, rows), DIRECTIONS)


def normalized(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = vector / np.linalg.norm(vector)
    return result


def plainly_measured(model: TrainedModel, split: Split, *, enrolled: int) -> list[float]:
    """The metrics in the order of `NewPeopleMetrics`, image by image."""
    own = {image: model.embeddings(np.array([image]))[0].numpy() for image in range(NEW + UNKNOWN)}
    draws = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        templates, tests = [], []
        for person, images in enumerate(split.new_people):
            order = random.permutation(images).tolist()
            samples = [own[image] for image in order[:enrolled]]
            templates.append(normalized(np.mean(samples, axis=0)))
            tests += [(person, image) for image in order[enrolled:]]
        highest = sorted((max(own[image] @ each for each in templates) for image in split.unknown_test), reverse=True)
        hits = []
        for person, image in tests:
            scores = [float(own[image] @ each) for each in templates]
            known = [float(own[image] @ each) for each in DIRECTIONS.numpy()]
            right = int(np.argmax(scores)) == person
            accepted = [bool(max(scores) > highest[int(rate * UNKNOWN)]) for rate in (0.01, 0.1)]
            hits.append([right, right and max(scores) > max(known), *(right and each for each in accepted)])
        draws.append(np.mean(hits, axis=0))
    return [enrolled, *np.mean(draws, axis=0).tolist()]


def test_people_who_are_easily_told_apart_are_all_recognized() -> None:
    measured = measure_new_people(model(10 * torch.eye(3, 8), noise=0), split())
    assert measured == [NewPeopleMetrics(enrolled, 1, 1, 1, 1) for enrolled in (1, 3, 5, 9)]


def test_metrics_are_means_of_ten_draws() -> None:
    confusable = model(torch.eye(3, 8), noise=0.5)
    measured = measure_new_people(confusable, split())
    for metrics in measured:
        expected = plainly_measured(confusable, split(), enrolled=metrics.enrolled_images)
        assert astuple(metrics) == pytest.approx(expected, abs=1e-9)
    first, *_, last = measured
    assert 0 < first.dir_at_far_1 < first.top_1_with_known < first.top_1 < 1
    assert first.dir_at_far_1 <= first.dir_at_far_10
    assert first.top_1 < last.top_1


@pytest.mark.parametrize("new_people", [0, 1])
def test_fewer_than_two_new_people_are_not_measured(new_people: int) -> None:
    assert measure_new_people(model(torch.eye(3, 8), noise=0), split(new_people)) == []
