from facerec.pictures import errors
from facerec.pictures.errors import PictureError


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    words = set((errors.__doc__ or "").replace("├──", " ").replace("└──", " ").split())
    assert {leaf.__name__ for leaf in PictureError.leaves()} <= words
