"""The samples that pictures of one person give."""

import math
from dataclasses import replace
from hashlib import sha256
from uuid import uuid4

import numpy as np

from facerec.inference.cropping import Face
from facerec.inference.results import PictureResult
from facerec.people.enrolment import Portrait, Selection, select_samples
from facerec.people.gallery import Known, Snapshot
from facerec.people.samples import Box, Sample, Vector

POINTS = np.array([(121, 90), (107, 90), (79, 90), (93, 90), (100, 110)], float)
"""The points of a face of 80 pixels around (100, 100), seen from the front."""
NOBODY = Snapshot((), np.zeros((0, 2), np.float32))
THRESHOLD = 0.5
"""Faces up to 60 degrees apart are the same person's."""


def unit(degrees: float) -> Vector:
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], np.float32)


def picture(*degrees: float, name: str = "", sharpness: float = 0.3) -> PictureResult:
    """A picture of 900 x 200 pixels with a face for each embedding, in a row 150 pixels apart."""
    shifts = [150 * number for number in range(len(degrees))]
    embeddings = np.array([unit(each) for each in degrees], np.float32).reshape(-1, 2)
    return PictureResult(
        embeddings if degrees else None,
        [Face(100 + shift, 100, 80, angle=0, score=0.9) for shift in shifts],
        [POINTS + np.array([shift, 0]) for shift in shifts],
        [sharpness] * len(degrees),
        sha256(f"{degrees} {name}".encode()).hexdigest(),
        900,
        200,
    )


def select(
    *pictures: PictureResult,
    box: Box | None = None,
    own: tuple[Sample, ...] = (),
    snapshot: Snapshot = NOBODY,
    force: bool = False,
) -> Selection:
    portraits = [Portrait(each, box) for each in pictures]
    return select_samples(portraits, "Ada", own=own, snapshot=snapshot, threshold=THRESHOLD, force=force)


def codes(selection: Selection) -> dict[int, str]:
    return {index: error.code for index, error in selection.refused.items()}


def test_good_pictures_are_samples_and_the_others_say_why_not() -> None:
    blurred, crowd = picture(0, sharpness=0.1), picture(0, 10, 20)
    selection = select(picture(), picture(0), blurred, picture(5), crowd)
    assert codes(selection) == {0: "no_face", 2: "face_blurred", 4: "several_faces"}
    assert [sample.box for sample in selection.samples] == [Box(100, 100, 80)] * 2
    assert [sample.picture_sha256 for sample in selection.samples] == [picture(0).sha256, picture(5).sha256]
    assert np.allclose([sample.embedding for sample in selection.samples], [unit(0), unit(5)])
    assert all(0 < sample.quality <= 1 for sample in selection.samples)


def test_a_box_says_whose_face_of_a_group_it_is() -> None:
    (sample,) = select(picture(0, 120, 240), box=Box(245, 105, 90)).samples
    assert sample.box == Box(250, 100, 80)
    assert np.allclose(sample.embedding, unit(120))


def test_the_same_face_of_the_same_picture_is_enrolled_once() -> None:
    first = select(picture(0), picture(0))
    assert codes(first) == {1: "already_enrolled"}
    again = select(picture(0), picture(0, name="another file"), own=tuple(first.samples))
    assert codes(again) == {0: "already_enrolled"}
    assert len(again.samples) == 1


def test_a_face_whose_box_was_clipped_is_the_same_face() -> None:
    (sample,) = select(picture(0)).samples
    clipped = replace(sample, box=Box(sample.box.x + 6, sample.box.y, sample.box.size - 12))
    assert codes(select(picture(0), own=(clipped,))) == {0: "already_enrolled"}
    beside = replace(sample, box=Box(sample.box.x + 60, sample.box.y, sample.box.size))
    assert not codes(select(picture(0), own=(beside,)))


def test_a_face_unlike_the_person_s_others_is_refused_unless_forced() -> None:
    selection = select(picture(0), picture(10), picture(170), picture(5))
    assert codes(selection) == {2: "unlike_person"}
    assert len(selection.samples) == 3
    assert codes(select(picture(170), picture(10), picture(0))) == {0: "unlike_person"}
    assert codes(select(picture(0), picture(170))) == {1: "unlike_person"}  # of two, the first counts
    later = select(picture(170), own=tuple(selection.samples))
    assert codes(later) == {0: "unlike_person"}
    assert not later.samples
    forced = select(picture(170), own=tuple(selection.samples), force=True)
    assert not forced.refused
    assert len(forced.samples) == 1


def test_a_face_like_another_person_is_refused_unless_forced() -> None:
    others = Snapshot((Known("Bob", uuid4(), 3, shipped=False),), unit(90)[None])
    selection = select(picture(0), picture(88), snapshot=others)
    assert codes(selection) == {1: "like_another_person"}
    assert "very like Bob." in str(selection.refused[1])
    assert codes(select(picture(88), snapshot=others)) == {0: "like_another_person"}
    assert not select(picture(88), snapshot=others, force=True).refused
    themselves = Snapshot((Known("Ada", uuid4(), 3, shipped=False),), unit(90)[None])
    assert not select(picture(88), snapshot=themselves).refused


def test_force_takes_no_face_that_is_not_good_enough() -> None:
    assert codes(select(picture(), picture(0, sharpness=0.1), force=True)) == {0: "no_face", 1: "face_blurred"}


def test_without_a_good_picture_there_is_no_sample() -> None:
    assert select() == Selection([], {})
    assert not select(picture()).samples
