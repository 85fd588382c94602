"""The names of people: which are allowed, and which are the same."""

import unicodedata

from facerec.people.errors import NameNotAllowed
from facerec.text import JOINERS, is_invisible

NAME_MAX_LENGTH = 200
"""Longest name in characters."""


def canonical_name(name: str) -> str:
    """The form of a name that is stored. Names of the same form are the same.

    Characters are composed (Unicode NFC), `_` is a space, and any white space is one space. Upper and lower case
    differ. A name may hold anything that can be seen: `../` is a name like another.

    Raises:
        NameNotAllowed: the name is empty, has more than `NAME_MAX_LENGTH` characters, or one that can't be seen.
    """
    if len(name) > NAME_MAX_LENGTH:  # first, because composing many marks takes long
        raise NameNotAllowed.longer_than(NAME_MAX_LENGTH)
    name = unicodedata.normalize("NFC", name).replace("_", " ")
    categories = {unicodedata.category(character) for character in name if character not in JOINERS}
    if any(map(is_invisible, name)) or all(category[0] in "MZ" for category in categories):  # marks and spaces alone
        raise NameNotAllowed
    if len(name) > NAME_MAX_LENGTH:  # some characters are two when they are composed
        raise NameNotAllowed.longer_than(NAME_MAX_LENGTH)
    return " ".join(name.split())
