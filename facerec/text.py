"""Characters of names and messages."""

import unicodedata

_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""The Unicode categories of control, format and private characters, surrogates and line breaks."""

JOINERS = frozenset("\u200c\u200d")
"""The invisible characters that names need, in Persian and in Indic scripts."""


def is_invisible(character: str) -> bool:
    """Whether a character can't be seen, and isn't one that names need all the same."""
    return unicodedata.category(character) in _INVISIBLE and character not in JOINERS
