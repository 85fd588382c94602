"""Whose faces are: thresholds by the size of the gallery, candidates and probabilities."""

import math
from uuid import uuid4

import numpy as np
import pytest

from facerec.inference.false_matches import KNOWN_PERSON, RATES, FalseMatches
from facerec.inference.model_file import RecognizerMetadata
from facerec.people.gallery import Known, Snapshot
from facerec.people.identification import Identifier
from facerec.people.samples import Vector, normalize
from tests.people.faces import vector
from tests.toy_model import TOY_PEOPLE, TOY_TEMPERATURE, TOY_THRESHOLD, toy_metadata

FALSE_MATCHES = FalseMatches(
    false_accept_rate=0.01,
    similarities={
        KNOWN_PERSON: tuple(0.3 - 0.05 * np.log10(rate) for rate in RATES),
        1: tuple(0.5 - 0.05 * np.log10(rate) for rate in RATES),
        5: tuple(0.6 - 0.05 * np.log10(rate) for rate in RATES),
    },
)
METADATA = toy_metadata().model_copy(update={"false_matches": FALSE_MATCHES})
SHIPPED = [Known(name.replace("_", " "), None, 0, shipped=True) for name in TOY_PEOPLE]


def snapshot(*people: Known) -> Snapshot:
    templates = np.stack([vector(number) for number in range(len(people))]) if people else np.zeros((0, 8), np.float32)
    return Snapshot(people, templates)


def enrolled(count: int, *, samples: int = 1) -> list[Known]:
    return [Known(f"Person {samples} {number}", uuid4(), samples, shipped=False) for number in range(count)]


def test_the_threshold_rises_with_the_number_of_people_and_of_their_samples() -> None:
    identifier = Identifier(METADATA, None)
    ten, hundred = snapshot(*enrolled(10)), snapshot(*enrolled(100))
    several = snapshot(*enrolled(10, samples=5))
    assert identifier.threshold(ten) == FALSE_MATCHES.threshold({1: 10})
    assert identifier.threshold(hundred) == FALSE_MATCHES.threshold({1: 100}) > identifier.threshold(ten)
    assert identifier.threshold(several) == FALSE_MATCHES.threshold({5: 10}) > identifier.threshold(ten)
    mixed = snapshot(*SHIPPED, *enrolled(3), *enrolled(2, samples=5))
    assert identifier.threshold(mixed) == FALSE_MATCHES.threshold({KNOWN_PERSON: 3, 1: 3, 5: 2})


def test_a_known_person_who_is_enrolled_too_counts_as_known() -> None:
    both = Known("Rosa Red", uuid4(), 3, shipped=True)
    threshold = Identifier(METADATA, None).threshold(snapshot(both, *enrolled(1)))
    assert threshold == FALSE_MATCHES.threshold({KNOWN_PERSON: 1, 1: 1})


@pytest.mark.parametrize("people", [SHIPPED, []])
def test_the_known_people_alone_have_the_threshold_that_was_measured_for_them(people: list[Known]) -> None:
    assert Identifier(METADATA, None).threshold(snapshot(*people)) == TOY_THRESHOLD


def test_one_threshold_serves_every_gallery_if_the_file_does_not_give_others() -> None:
    identifier = Identifier(toy_metadata(), None)
    assert identifier.threshold(snapshot(*enrolled(100))) == TOY_THRESHOLD
    assert identifier.verification_threshold(1) == TOY_THRESHOLD


@pytest.mark.parametrize("metadata", [METADATA, toy_metadata()])
def test_an_operators_threshold_is_taken_as_it_is(metadata: RecognizerMetadata) -> None:
    identifier = Identifier(metadata, 0.123)
    for people in ([], SHIPPED, enrolled(100)):
        assert identifier.threshold(snapshot(*people)) == 0.123
    assert identifier.verification_threshold(5) == 0.123


def test_verification_compares_with_one_person() -> None:
    identifier = Identifier(METADATA, None)
    for samples in (0, 1, 4, 5, 12):
        assert identifier.verification_threshold(samples) == FALSE_MATCHES.threshold({samples: 1})
    assert identifier.verification_threshold(1) < identifier.threshold(snapshot(*enrolled(2)))


def test_a_face_is_the_most_similar_persons_if_it_is_similar_enough() -> None:
    people = snapshot(*enrolled(20))
    identifier = Identifier(METADATA, None)
    threshold = identifier.threshold(people)
    apart = normalize(vector(99) - (vector(99) @ vector(3)) * vector(3))

    def face(similarity: float) -> Vector:
        return normalize(similarity * vector(3) + np.float32(math.sqrt(1 - similarity**2)) * apart)

    above, below = identifier.identify(
        np.stack([face(0.99), face(threshold - 1e-4)]).astype(np.float32), people, most=3
    )
    assert above.person == people.people[3] == above.candidates[0].person
    assert above.candidates[0].similarity == pytest.approx(0.99, abs=1e-6)
    assert below.person is None
    assert above.threshold == below.threshold == threshold
    for identification in (above, below):
        similarities = [candidate.similarity for candidate in identification.candidates]
        assert len(similarities) == 3
        assert similarities == sorted(similarities, reverse=True)


def test_probabilities_are_those_of_the_calibrated_softmax_over_everybody() -> None:
    people = snapshot(*enrolled(20))
    [identification] = Identifier(METADATA, None).identify(vector(50)[None], people, most=20)
    exponentials = np.exp(people.similarities(vector(50)[None])[0] / TOY_TEMPERATURE)
    expected = np.sort(exponentials / exponentials.sum())[::-1]
    assert [candidate.probability for candidate in identification.candidates] == pytest.approx(expected, rel=1e-4)


def test_an_empty_gallery_identifies_nobody() -> None:
    identifier = Identifier(METADATA, None)
    identifications = identifier.identify(np.stack([vector(1), vector(2)]), snapshot(), most=5)
    assert [(each.person, each.candidates) for each in identifications] == [(None, [])] * 2


def test_the_stated_rate_is_that_of_the_thresholds() -> None:
    assert Identifier(METADATA, None).false_accept_rate == 0.01
    older = METADATA.model_copy(update={"false_matches": None, "false_accept_rate": 0.02})
    assert Identifier(older, None).false_accept_rate == 0.02
    assert Identifier(METADATA, 0.5).false_accept_rate is None, "nobody measured the operator's threshold"
