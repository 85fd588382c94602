"""Make names and command lines fit for terminals and files."""

import os
import re

from facerec.text import is_invisible

_PASSWORDS = re.compile(r"(://[^\s/:@]*:)\S*(?=@)|(password=)[^\s&]*", re.IGNORECASE)
"""A password in the user information of a URL (RFC 3986, section 3.2.1), or in its query. It may hold an `@` itself."""


def printable(text: str) -> str:
    r"""A text that any terminal and any UTF-8 file can hold.

    Bytes of file names that are not UTF-8 and characters that can't be seen become escapes such as `\x1b`: a name must
    not send escape sequences to a terminal, nor begin a line of its own in a report.
    """
    decoded = os.fsencode(text).decode(errors="backslashreplace")
    return "".join(
        character.encode("unicode_escape").decode() if is_invisible(character) else character for character in decoded
    )


def without_passwords(text: str) -> str:
    """A text in which the passwords of URLs are replaced by `***`, so that a report may be published."""
    return _PASSWORDS.sub(lambda match: f"{match[1] or match[2]}***", text)
