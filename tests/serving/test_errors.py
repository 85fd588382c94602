from itertools import pairwise

from facerec.serving import errors
from facerec.serving.errors import leaves


def test_codes_are_unique_and_every_leaf_is_complete() -> None:
    codes = [leaf.code for leaf in leaves()]
    assert len(set(codes)) == len(codes)
    for leaf in leaves():
        assert 400 <= leaf.status < 600
        assert str(leaf()) == leaf.message


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    words = (errors.__doc__ or "").split()
    drawn = {(name, int(status)) for name, status in pairwise(words) if status.isdigit()}
    assert drawn == {(leaf.__name__, leaf.status) for leaf in leaves()}
