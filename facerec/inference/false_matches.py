"""How often strangers resemble a person, and the threshold that follows from it for a gallery of any size."""

import math
from collections.abc import Mapping
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

RATES = (1e-1, 10**-1.5, 1e-2, 10**-2.5, 1e-3, 10**-3.5, 1e-4, 10**-4.5, 1e-5)
"""Rates of false matches, in half decades: the fraction of pairs of an unknown face and a person's template."""

KNOWN_PERSON = 0
"""Stands for the number of samples of a person whom the model knows."""

_STEPS = 40
"""Halvings of an interval of length 2, which give the threshold more precisely than float32 holds it."""

Similarities = Annotated[tuple[Annotated[float, Field(ge=-1, le=1)], ...], Field(min_length=2, max_length=len(RATES))]


class FalseMatches(BaseModel):
    """The similarities of unknown faces to people's templates, measured on people whom training did not see.

    In a gallery of several people, each of them is one more chance of a false match. The chances are taken as
    independent of each other, which was measured to be near enough the truth.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_accept_rate: Annotated[float, Field(gt=0, lt=1)]
    """Fraction of the unknown people that a gallery's threshold may accept as one of its people."""
    similarities: Annotated[dict[Annotated[int, Field(ge=0)], Similarities], Field(min_length=1)]
    """For a template of so many samples, or of a known person (`KNOWN_PERSON`): the similarities that unknown faces
    reach with the first of `RATES`. They rise as the rates fall. The rates end where too few pairs were measured."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not {KNOWN_PERSON, 1} <= self.similarities.keys():
            raise ValueError("the similarities of known people and of people with one sample are needed")
        if any(np.any(np.diff(values) < 0) for values in self.similarities.values()):
            raise ValueError("the similarities don't rise while the rates fall")
        return self

    def threshold(self, people: Mapping[int, int], *, false_accept_rate: float | None = None) -> float:
        """The similarity that a fraction `false_accept_rate` of unknown faces reach with anybody in a gallery.

        It solves `1 - product over the people of (1 - rate of false matches) = false_accept_rate`.

        Args:
            people: how many people have so many samples, `KNOWN_PERSON` for people of the model. Not empty.
            false_accept_rate: the fraction, between 0 and 1. `None` takes that of a gallery.
        """
        curves = {samples: _Curve(self._similarities(samples)) for samples in people}
        allowed = math.log1p(-(false_accept_rate or self.false_accept_rate))
        low, high = -1.0, 1.0
        for _ in range(_STEPS):
            middle = (low + high) / 2
            rejected = sum(count * math.log1p(-curves[samples].rate(middle)) for samples, count in people.items())
            low, high = (middle, high) if rejected < allowed else (low, middle)
        return high

    def _similarities(self, samples: int) -> Similarities:
        """The similarities for a template of so many samples, linear in 1 / samples between those that were measured.

        Templates of more samples than were measured are taken for those of the most.
        """
        if samples == KNOWN_PERSON:
            return self.similarities[KNOWN_PERSON]
        measured = self.similarities.keys() - {KNOWN_PERSON}
        below = max(number for number in measured if number <= samples)
        above = min((number for number in measured if number >= samples), default=below)
        weight = (1 / below - 1 / samples) / (1 / below - 1 / above) if above > below else 0
        pairs = zip(self.similarities[below], self.similarities[above], strict=False)
        return tuple((1 - weight) * fewer + weight * more for fewer, more in pairs)


class _Curve:
    """The rate of false matches by similarity: its logarithm is linear between the measured similarities.

    It falls from 1 at -1, and beyond the last similarity as it does over the last measured decade.
    """

    def __init__(self, similarities: Similarities) -> None:
        logarithms = [math.log10(rate) for rate in RATES[: len(similarities)]]
        start = max(0, len(similarities) - 3)
        slope = (logarithms[-1] - logarithms[start]) / max(similarities[-1] - similarities[start], 1e-6)
        self._similarities = [-1, *similarities, 2]
        self._logarithms = [0, *logarithms, logarithms[-1] + slope * (2 - similarities[-1])]

    def rate(self, similarity: float) -> float:
        return min(10 ** float(np.interp(similarity, self._similarities, self._logarithms)), 1 - 1e-9)
