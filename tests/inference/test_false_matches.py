"""Thresholds from the similarities of strangers."""

import math
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from facerec.inference.false_matches import KNOWN_PERSON, RATES, FalseMatches

# The rate of false matches falls by a decade for each 0.05 of similarity.
ONE = tuple(0.5 - 0.05 * math.log10(rate) for rate in RATES)
FIVE = tuple(similarity + 0.02 for similarity in ONE)
KNOWN = tuple(similarity - 0.1 for similarity in ONE)


def false_matches(**changes: object) -> FalseMatches:
    values = {"false_accept_rate": 0.01, "similarities": {KNOWN_PERSON: KNOWN, 1: ONE, 5: FIVE}}
    return FalseMatches.model_validate(values | changes)


def similarity(rate: float) -> float:
    """The similarity to a template of one sample that is reached with a rate."""
    return 0.5 - 0.05 * math.log10(rate)


@pytest.mark.parametrize("people", [1, 10, 48, 100, 1000, 10_000, 100_000])
def test_each_person_is_an_independent_chance_of_a_false_match(people: int) -> None:
    rate = 1 - 0.99 ** (1 / people)  # down to 1e-7, beyond what is measured
    assert false_matches().threshold({1: people}) == pytest.approx(similarity(rate), abs=1e-5)


def test_people_with_other_numbers_of_samples_have_their_own_rates() -> None:
    matches = false_matches()
    assert matches.threshold({5: 10}) == pytest.approx(matches.threshold({1: 10}) + 0.02, abs=1e-6)
    mixed = matches.threshold({KNOWN_PERSON: 62, 1: 7, 5: 3})
    rates = {KNOWN_PERSON: -0.1, 1: 0.0, 5: 0.02}
    accepted = {samples: 10 ** -((mixed - 0.5 - shift) / 0.05) for samples, shift in rates.items()}
    rejected = (1 - accepted[KNOWN_PERSON]) ** 62 * (1 - accepted[1]) ** 7 * (1 - accepted[5]) ** 3
    assert 1 - rejected == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(("samples", "shift"), [(1, 0), (2, 0.0125), (3, 0.02 * (2 / 3) / 0.8), (5, 0.02), (20, 0.02)])
def test_between_measured_numbers_of_samples_it_is_linear_in_their_inverse(samples: int, shift: float) -> None:
    matches = false_matches()
    assert matches.threshold({samples: 10}) == pytest.approx(matches.threshold({1: 10}) + shift, abs=1e-6)


def test_a_higher_rate_gives_a_lower_threshold() -> None:
    thresholds = [false_matches(false_accept_rate=rate).threshold({1: 10}) for rate in (0.001, 0.01, 0.1, 0.9, 0.999)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) == 5
    assert thresholds[-1] >= -1
    assert thresholds[0] <= 1


def test_few_or_equal_similarities_are_enough() -> None:
    matches = false_matches(similarities={KNOWN_PERSON: (0.3, 0.4), 1: (0.5, 0.5)})
    assert matches.threshold({1: 1}) == pytest.approx(0.5, abs=1e-5)
    assert matches.threshold({KNOWN_PERSON: 1}) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize(
    "similarities",
    [
        {},
        {1: ONE},
        {KNOWN_PERSON: KNOWN},
        {KNOWN_PERSON: KNOWN, 1: ONE[::-1]},
        {KNOWN_PERSON: KNOWN, 1: ONE[:1]},
        {KNOWN_PERSON: KNOWN, 1: (*ONE, 0.99)},
        {KNOWN_PERSON: KNOWN, 1: (0.5, 1.1)},
        {KNOWN_PERSON: KNOWN, 1: (math.nan, 0.5)},
        {KNOWN_PERSON: KNOWN, 1: ONE, -1: ONE},
    ],
)
def test_what_gives_no_threshold_is_refused(similarities: dict[int, Sequence[float]]) -> None:
    with pytest.raises(ValidationError):
        false_matches(similarities=similarities)


@pytest.mark.parametrize("rate", [0, 1, -0.1, math.nan])
def test_nobody_and_everybody_are_no_rates(rate: float) -> None:
    with pytest.raises(ValidationError):
        false_matches(false_accept_rate=rate)


def test_it_survives_json() -> None:
    assert FalseMatches.model_validate_json(false_matches().model_dump_json()) == false_matches()
