"""False matches and the galleries that follow from them, on people whose embeddings are drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from facerec.inference.false_matches import KNOWN_PERSON, RATES, FalseMatches
from facerec.training.recognition.false_matches import EnrolledPeople, measure_false_matches, measure_galleries
from facerec.training.split import Indices, Split

SIZE = 16
KNOWN, NEW, BACKGROUND, UNKNOWN = 5, 30, 40, 400
NEW_IMAGES, BACKGROUND_IMAGES = 12, 4


def people_of(identities: Indices, first: int, count: int) -> list[Indices]:
    return [np.flatnonzero(identities == person) for person in range(first, first + count)]


IDENTITIES = np.repeat(
    np.arange(NEW + BACKGROUND + 2 * UNKNOWN), [NEW_IMAGES] * NEW + [BACKGROUND_IMAGES] * BACKGROUND + [1] * 2 * UNKNOWN
)
NEW_PEOPLE = people_of(IDENTITIES, 0, NEW)
BACKGROUND_PEOPLE = people_of(IDENTITIES, NEW, BACKGROUND)
UNKNOWN_VALIDATION, UNKNOWN_TEST = np.split(np.flatnonzero(IDENTITIES >= NEW + BACKGROUND), 2)
LABELS = np.full(len(IDENTITIES), -1)
LABELS[np.concatenate(BACKGROUND_PEOPLE)] = KNOWN + np.repeat(np.arange(BACKGROUND), BACKGROUND_IMAGES)
NOBODY = np.array([], np.int64)
SPLIT = Split(
    people=[f"Known {number}" for number in range(KNOWN)],
    background_people=BACKGROUND,
    labels=LABELS,
    train=NOBODY,
    validation=NOBODY,
    test=NOBODY,
    background=np.concatenate(BACKGROUND_PEOPLE),
    new_people=NEW_PEOPLE,
    unknown_source="someone",
    unknown_validation=UNKNOWN_VALIDATION,
    unknown_test=UNKNOWN_TEST,
)
RANDOM = torch.Generator().manual_seed(0)
CENTRES = torch.randn(IDENTITIES.max() + 1, SIZE, generator=RANDOM)
FACES = functional.normalize(
    CENTRES[torch.from_numpy(IDENTITIES)] + 0.7 * torch.randn(len(IDENTITIES), SIZE, generator=RANDOM)
)
DIRECTIONS = functional.normalize(torch.randn(KNOWN, SIZE, generator=RANDOM))
TRAINED = EnrolledPeople.of(SPLIT, IDENTITIES, trained=True)


def embed(indices: Indices) -> torch.Tensor:
    return FACES[torch.from_numpy(indices)]


def measure(split: Split = SPLIT, identities: Indices = IDENTITIES, rate: float = 0.05) -> FalseMatches | None:
    return measure_false_matches(embed, DIRECTIONS, split, TRAINED, identities=identities, false_accept_rate=rate)


def as_lists(people: list[Indices]) -> list[list[int]]:
    return [images.tolist() for images in people]


def test_a_trained_network_is_measured_on_those_who_were_in_no_training() -> None:
    assert as_lists(TRAINED.choosing) == as_lists(TRAINED.new) == as_lists(NEW_PEOPLE)
    assert as_lists(TRAINED.others) == [[image] for image in UNKNOWN_VALIDATION]


def test_a_network_that_is_not_trained_has_not_seen_the_background_people() -> None:
    people = EnrolledPeople.of(SPLIT, IDENTITIES, trained=False)
    assert as_lists(people.choosing) == as_lists(people.others) == as_lists(BACKGROUND_PEOPLE)
    assert as_lists(people.new) == as_lists(NEW_PEOPLE)


def test_similarities_are_those_that_pairs_reach_with_each_rate() -> None:
    matches = measure()
    assert matches
    assert matches.false_accept_rate == 0.05
    assert set(matches.similarities) == {KNOWN_PERSON, 1, 3, 5, 9}
    faces = embed(UNKNOWN_VALIDATION).numpy()
    pairs = [float(similarity) for row, products in enumerate(faces @ faces.T) for similarity in products[:row]]
    for samples, similarities in ((1, pairs), (KNOWN_PERSON, (faces @ DIRECTIONS.numpy().T).ravel().tolist())):
        found = matches.similarities[samples]
        assert len(found) == sum(rate * len(similarities) >= 10 for rate in RATES), "as far as there are ten pairs"
        for rate, similarity in zip(RATES, found, strict=False):
            assert sum(each > similarity for each in similarities) == pytest.approx(rate * len(similarities), abs=1.5)


def test_pairs_of_one_person_are_no_false_matches() -> None:
    twice = IDENTITIES.copy()
    twice[UNKNOWN_VALIDATION] = np.repeat(twice[UNKNOWN_VALIDATION[::2]], 2)
    matches = measure(identities=twice)
    assert matches
    products = embed(UNKNOWN_VALIDATION) @ embed(UNKNOWN_VALIDATION).T
    similarities = sorted(float(products[row, column]) for row in range(UNKNOWN) for column in range(row - row % 2))
    assert matches.similarities[1][0] == pytest.approx(similarities[-1 - int(0.1 * len(similarities))])


def test_too_few_people_give_no_templates_of_several_samples() -> None:
    few = replace(TRAINED, choosing=NEW_PEOPLE[:19])
    matches = measure_false_matches(embed, DIRECTIONS, SPLIT, few, identities=IDENTITIES, false_accept_rate=0.01)
    assert matches
    assert set(matches.similarities) == {KNOWN_PERSON, 1}


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_nobody_and_everybody_need_no_thresholds(rate: float) -> None:
    assert measure(rate=rate) is None


def test_too_few_unknown_people_give_nothing() -> None:
    assert measure(replace(SPLIT, unknown_validation=UNKNOWN_VALIDATION[:20])) is None
    assert measure_galleries(embed, DIRECTIONS, SPLIT, TRAINED, None, uncorrected=0.5) == []


def test_known_people_in_place_of_unknown_ones_give_nothing() -> None:
    assert measure(replace(SPLIT, unknown_validation=np.concatenate(BACKGROUND_PEOPLE))) is None


def test_galleries_of_every_size_accept_the_promised_fraction_of_unknown_people() -> None:
    matches = measure()
    galleries = measure_galleries(embed, DIRECTIONS, SPLIT, TRAINED, matches, uncorrected=0.6)
    sizes = [(gallery.people, gallery.tested_people, gallery.enrolled_images) for gallery in galleries]
    assert sizes == [(size, min(size, NEW), images) for size in (10, 48, 100) for images in (1, 3, 5, 9)]
    for gallery in galleries:
        assert gallery.false_accept_rate == pytest.approx(0.05, abs=0.025)
        assert gallery.with_known == pytest.approx(0.05, abs=0.025)
        assert gallery.lowest <= gallery.false_accept_rate <= gallery.highest
    by_size = {size: [each for each in galleries if each.people == size] for size in (10, 48, 100)}
    for ten, hundred in zip(by_size[10], by_size[100], strict=True):
        assert hundred.uncorrected > 2 * ten.uncorrected
        assert hundred.dir < ten.dir
    assert [gallery.dir for gallery in by_size[10]] == sorted(gallery.dir for gallery in by_size[10])


def test_a_draw_is_what_it_says() -> None:
    matches = measure()
    assert matches
    [first, *_] = measure_galleries(embed, DIRECTIONS, SPLIT, TRAINED, matches, uncorrected=0.6)
    rates, dirs = [], []
    threshold = matches.threshold({1: 10})
    for seed in range(10):
        random = np.random.default_rng([seed, 10])
        chosen = [random.permutation(NEW_PEOPLE[person]) for person in random.permutation(NEW)[:10]]
        templates = [FACES[images[0]] for images in chosen]
        rates.append(np.mean([max(FACES[image] @ each for each in templates) >= threshold for image in UNKNOWN_TEST]))
        hits = []
        for person, images in enumerate(chosen):
            for image in images[1:]:
                scores = [float(FACES[image] @ each) for each in templates]
                hits.append(int(np.argmax(scores)) == person and max(scores) >= threshold)
        dirs.append(np.mean(hits))
    assert first.false_accept_rate == pytest.approx(np.mean(rates))
    assert [first.lowest, first.highest] == pytest.approx([min(rates), max(rates)])
    assert first.dir == pytest.approx(np.mean(dirs))
