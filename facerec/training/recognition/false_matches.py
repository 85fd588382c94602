"""Measure how often strangers resemble a person, and what follows from it for galleries of several sizes.

Nobody on whom it is measured was trained on, and the galleries are tested on other strangers than those that choose.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facerec.inference.false_matches import KNOWN_PERSON, RATES, FalseMatches
from facerec.training.metrics import Floats
from facerec.training.recognition.embeddings import template
from facerec.training.recognition.new_people import DRAWS, ENROLLED_IMAGES
from facerec.training.split import Indices, Split

Embed = Callable[[Indices], Tensor]
"""Gives the L2-normalized embeddings float32 `[N, D]` of N images of a data set."""

GALLERY_SIZES = (10, 48, 100, 1000)
TEMPLATES = 1500
"""Number of templates of several samples, at least. A person gives several, of different images."""
MIN_PEOPLE = 20
"""Fewest people whose templates of several samples are measured."""
MIN_PAIRS = 10
"""Fewest pairs of a face and a template that reach a similarity whose rate is taken as measured."""


@dataclass(frozen=True)
class EnrolledPeople:
    """The people who are enrolled to choose and to test thresholds, each as indices of images.

    Attributes:
        choosing: give the templates of several samples that choose. Single samples are those of
            `split.unknown_validation`, compared with each other.
        new: of the test.
        others: of the test, in galleries that are larger than the number of new people.
    """

    choosing: list[Indices]
    new: list[Indices]
    others: list[Indices]

    @classmethod
    def of(cls, split: Split, identities: Indices, *, trained: bool) -> "EnrolledPeople":
        """The people of a split. A network that isn't trained on them has not seen the background people either.

        Args:
            split: of the data set.
            identities: int64 `[M]`, the person of each image of the data set.
            trained: whether the network is trained on the background people.
        """
        unseen = split.unknown_validation if trained else split.background
        others = [unseen[identities[unseen] == person] for person in np.unique(identities[unseen])]
        return cls(split.new_people if trained else others, split.new_people, others)


@dataclass(frozen=True)
class GalleryMetrics:
    """A gallery of enrolled people, on a scale of 0 to 1, as means over ten draws of people and images.

    Attributes:
        people: number of enrolled people.
        tested_people: how many of them are new people, whose other images are tested.
        enrolled_images: of each person, or as many as there are of the others.
        false_accept_rate: of the unknown people's test images, at the threshold for this gallery.
        lowest: of the draws.
        highest: of the draws.
        uncorrected: at the threshold for the known people alone.
        with_known: at the threshold for this gallery and the known people, among all of them.
        dir: images of enrolled new people that are named correctly and accepted, at the threshold for this gallery.
    """

    people: int
    tested_people: int
    enrolled_images: int
    false_accept_rate: float
    lowest: float
    highest: float
    uncorrected: float
    with_known: float
    dir: float


def measure_false_matches(
    embed: Embed,
    directions: Tensor,
    split: Split,
    people: EnrolledPeople,
    *,
    identities: Indices,
    false_accept_rate: float,
) -> FalseMatches | None:
    """The similarities that the unknown people's validation images reach. `None` if there are too few of them.

    Args:
        embed: gives embeddings.
        directions: of the P known people, `[P, D]`.
        split: of the data set.
        people: who is enrolled.
        identities: int64 `[M]`, the person of each image of the data set.
        false_accept_rate: what a gallery's threshold may accept, 0 to 1.
    """
    if (split.labels[split.unknown_validation] >= 0).any() or not 0 < false_accept_rate < 1:
        return None  # known people stand in for unknown ones
    unknown = embed(split.unknown_validation)
    person = torch.from_numpy(identities[split.unknown_validation])
    pairs = torch.triu(person[:, None] != person)  # each pair once, and none of two images of one person
    similarities = {KNOWN_PERSON: unknown @ directions.T, 1: (unknown @ unknown.T)[pairs]}
    for samples in ENROLLED_IMAGES[1:]:
        chosen = [images for images in people.choosing if len(images) >= samples]
        if len(chosen) >= MIN_PEOPLE:
            draws = -(-TEMPLATES // len(chosen))
            random = np.random.default_rng(samples)
            enrolled = [random.permutation(images)[:samples] for images in chosen * draws]
            similarities[samples] = unknown @ _templates(embed, enrolled).T
    tails = {samples: _tail(values) for samples, values in similarities.items()}
    if min(map(len, tails.values())) < 2:
        return None
    return FalseMatches(false_accept_rate=false_accept_rate, similarities=tails)


def _tail(similarities: Tensor) -> tuple[float, ...]:
    """The similarities that are reached with `RATES`, as far as there are enough pairs."""
    values = np.sort(similarities.numpy(), axis=None)[::-1]
    counts = [int(rate * len(values)) for rate in RATES]
    return tuple(float(values[count]) for count in counts if count >= MIN_PAIRS)


def _templates(embed: Embed, people: list[Indices]) -> Tensor:
    """The template of each person, `[N, D]`. All images are embedded in one call, of which each takes its time."""
    embeddings = embed(np.concatenate(people)).split([len(images) for images in people])
    return torch.stack([template(samples) for samples in embeddings])


def measure_galleries(
    embed: Embed,
    directions: Tensor,
    split: Split,
    people: EnrolledPeople,
    false_matches: FalseMatches | None,
    *,
    uncorrected: float,
) -> list[GalleryMetrics]:
    """What galleries of 10 to 1,000 people accept, as far as there are so many people. Empty without false matches.

    Args:
        embed: gives embeddings.
        directions: of the P known people, `[P, D]`.
        split: of the data set.
        people: who is enrolled.
        false_matches: chosen on the validation images.
        uncorrected: threshold for the known people alone.
    """
    if not false_matches or len(people.new) < 2:
        return []
    unknown = embed(split.unknown_test).numpy()
    known = (unknown @ directions.numpy().T).max(axis=1)
    measured = []
    for size in GALLERY_SIZES:
        if size > len(people.new) + len(people.others):
            continue
        for enrolled in ENROLLED_IMAGES:
            rows = []
            for seed in range(DRAWS):
                gallery = _Gallery.draw(embed, people, size, enrolled, seed=seed)
                threshold = false_matches.threshold(gallery.samples)
                with_known = false_matches.threshold(gallery.samples | {KNOWN_PERSON: len(directions)})
                highest = (unknown @ gallery.templates.T).max(axis=1)
                rows.append(
                    [
                        (highest >= threshold).mean(),
                        (highest >= uncorrected).mean(),
                        (np.maximum(highest, known) >= with_known).mean(),
                        gallery.detected(threshold),
                    ]
                )
            rates = [row[0] for row in rows]
            rate, *others = np.mean(rows, axis=0).tolist()
            tested = min(size, len(people.new))
            measured.append(GalleryMetrics(size, tested, enrolled, rate, float(min(rates)), float(max(rates)), *others))
    return measured


@dataclass(frozen=True)
class _Gallery:
    """One draw: N templates, the numbers of people by their number of samples, and the tested images of the first."""

    templates: Floats
    samples: dict[int, int]
    tests: Floats
    labels: Indices

    @classmethod
    def draw(cls, embed: Embed, people: EnrolledPeople, size: int, enrolled: int, *, seed: int) -> "_Gallery":
        """Enrol new people, and others where these are too few."""
        random = np.random.default_rng([seed, size])
        new = [random.permutation(people.new[person]) for person in random.permutation(len(people.new))[:size]]
        chosen = random.permutation(len(people.others))[: size - len(new)]
        everybody = [*new, *(random.permutation(people.others[person]) for person in chosen)]
        numbers, counts = np.unique([min(enrolled, len(images)) for images in everybody], return_counts=True)
        tested = [images[enrolled:] for images in new]
        return cls(
            _templates(embed, [images[:enrolled] for images in everybody]).numpy(),
            dict(zip(numbers.tolist(), counts.tolist(), strict=True)),
            embed(np.concatenate(tested)).numpy(),
            np.repeat(np.arange(len(new)), [len(images) for images in tested]),
        )

    def detected(self, threshold: float) -> float:
        """The fraction of the tested images that are named correctly and accepted."""
        similarities = self.tests @ self.templates.T
        correct = similarities.argmax(axis=1) == self.labels
        return float((correct & (similarities.max(axis=1) >= threshold)).mean())
