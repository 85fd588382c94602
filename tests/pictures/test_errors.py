import re
from collections.abc import Iterator

from facerec.pictures import errors
from facerec.pictures.errors import PictureError


def below(error: type[PictureError], depth: int = 0) -> Iterator[tuple[int, str]]:
    """The depth and name of each error below another, in the order in which a tree is drawn."""
    for child in error.__subclasses__():
        yield depth, child.__name__
        yield from below(child, depth + 1)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^(.*)[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)
    assert [(len(indent) // 4, name) for indent, name in drawn] == list(below(PictureError))
