"""Which names are allowed, and which are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.people.errors import NameNotAllowed
from facerec.people.names import NAME_MAX_LENGTH, canonical_name


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("Ada_Lovelace", "Ada Lovelace"),
        (" Ada ", "Ada"),
        ("Ada\u00a0 Lovelace", "Ada Lovelace"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("ada", "ada"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("'; DROP TABLE people; --", "'; DROP TABLE people; --"),
        ("%s {0} <b>", "%s {0} <b>"),
        ("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
        ("x" * NAME_MAX_LENGTH, "x" * NAME_MAX_LENGTH),
    ],
)
def test_names_are_compared_in_one_form(name: str, canonical: str) -> None:
    assert canonical_name(name) == canonical


@pytest.mark.parametrize(
    "name",
    [
        *("", "   ", "_", "\u0308", "\u200d", "a\tb", "a\nb", "a\0", "\x7f", "a\u2028b", "\u202etxt.exe", "\ud800"),
        *("\ufeffAda", "x" * (NAME_MAX_LENGTH + 1), "\u0958" * NAME_MAX_LENGTH, "\u0308" * 10_000, "x" * 10_000),
    ],
)
def test_names_that_cannot_be_seen_or_are_too_long_are_refused(name: str) -> None:
    with pytest.raises(NameNotAllowed):
        canonical_name(name)


@given(st.text(max_size=NAME_MAX_LENGTH))
def test_the_form_of_a_form_is_the_form(name: str) -> None:
    try:
        canonical = canonical_name(name)
    except NameNotAllowed:
        return
    assert canonical_name(canonical) == canonical
    assert canonical.encode()
