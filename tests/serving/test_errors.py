from collections import Counter
from itertools import pairwise

from facerec.people.errors import PeopleError
from facerec.pictures.errors import PictureError
from facerec.serving import errors
from facerec.serving.errors import PEOPLE_STATUSES, PICTURE_STATUSES, ServiceError


def test_codes_are_unique_and_every_leaf_is_complete() -> None:
    leaves = [*ServiceError.leaves(), *PictureError.leaves(), *PeopleError.leaves()]
    assert [code for code, count in Counter(leaf.code for leaf in leaves).items() if count > 1] == ["no_face"]
    for leaf in leaves:
        answer = ServiceError.wrapping(leaf())
        assert 400 <= answer.status < 600
        assert (answer.code, str(answer)) == (leaf.code, leaf.message)


def test_every_error_of_pictures_has_a_status() -> None:
    assert set(PictureError.leaves()) == set(PICTURE_STATUSES)


def test_every_error_of_people_has_a_status() -> None:
    assert set(PeopleError.leaves()) == set(PEOPLE_STATUSES)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    words = (errors.__doc__ or "").split()
    drawn = {(name, int(status)) for name, status in pairwise(words) if status.isdigit()}
    assert drawn == {(leaf.__name__, leaf.status) for leaf in ServiceError.leaves()}
