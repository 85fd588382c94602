import numpy as np
import pytest
import torch

from facerec.training.recognition.calibrate import choose_threshold, fit_temperature


def test_the_temperature_that_made_the_labels_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    similarities = 2 * torch.rand(4000, 10, generator=generator) - 1
    for temperature in (0.02, 0.3):
        probabilities = torch.softmax(similarities / temperature, dim=1)
        labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
        assert fit_temperature(similarities, labels, min_temperature=0.01) == pytest.approx(temperature, rel=0.1)


def test_a_few_right_answers_make_nothing_surer_than_training_did() -> None:
    similarities = torch.tensor([[0.9, 0.1], [0.2, 0.7]])
    assert fit_temperature(similarities, torch.tensor([0, 1]), min_temperature=0.03) == pytest.approx(0.03, rel=0.02)


@pytest.mark.parametrize(("rate", "passing"), [(0.0, 0), (0.01, 1), (0.1, 10), (0.019, 1), (1.0, 99)])
def test_the_threshold_accepts_as_many_unknown_people_as_it_may(rate: float, passing: int) -> None:
    unknown = torch.tensor(np.random.default_rng(0).permutation(100) / 100, dtype=torch.float32)[:, None]
    threshold = choose_threshold(unknown, false_accept_rate=rate)
    assert (unknown.numpy().max(axis=1) >= threshold).sum() == passing


def test_ties_do_not_pass() -> None:
    assert choose_threshold(torch.full((100, 3), 0.5), false_accept_rate=0.1) > 0.5


def test_a_threshold_is_a_cosine_where_all_faces_are_alike() -> None:
    assert choose_threshold(torch.full((100, 3), 1.0), false_accept_rate=0.1) == 1
