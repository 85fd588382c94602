import os

import pytest

from facerec.training.safe_text import printable, without_passwords


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zoë Müller", "Zoë Müller"),
        ("李小龍\u3000太郎", "李小龍\u3000太郎"),
        ("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"),
        ("Ca$$ie", "Ca$$ie"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("two\nlines\r\x85\u2028", "two\\nlines\\r\\x85\\u2028"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        (os.fsdecode(b"M\xfcller"), "M\\xfcller"),
    ],
)
def test_what_can_not_be_seen_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected
    printable(text).encode("utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:secret@db/faces", "postgresql://me:***@db/faces"),
        ("--storage=postgresql+psycopg://me:s/e:c@r@et@db/faces", "--storage=postgresql+psycopg://me:***@db/faces"),
        ("redis://:secret@db", "redis://:***@db"),
        ("postgresql:///faces?user=me&PASSWORD=secret&x=1", "postgresql:///faces?user=me&PASSWORD=***&x=1"),
        ("https://example.org:8080/people.tgz", "https://example.org:8080/people.tgz"),
        ("https://me@example.org/", "https://me@example.org/"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
    ],
)
def test_passwords_of_urls_are_left_out(text: str, expected: str) -> None:
    assert without_passwords(text) == expected
