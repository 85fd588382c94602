"""What commands print: tables and one line for an error, safe for any console and any text."""

import io
import sys
from collections.abc import Sequence
from typing import TextIO


class CommandError(Exception):
    """The command can't do what it is asked for. The message is one line that says what to do."""


def escape_unencodable() -> None:
    """Let standard output and standard error escape what their encoding lacks: names may be of any script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def shown(text: object) -> str:
    """A text on one line, where characters that can't be seen are escaped. Names of files may hold any bytes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in str(text)
    )


def one_line(text: object) -> str:
    """A message on one line."""
    return shown(" ".join(str(text).split()))


def print_table(*rows: Sequence[object], file: TextIO | None = None) -> None:
    """Print rows with aligned columns, numbers to the right. The first row is the heading.

    Args:
        rows: all of the same length.
        file: standard output if it is not given.
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(isinstance(cell, int) for cell in column[1:]) for column in zip(*rows, strict=True)]
    for row in cells:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        print("  ".join(padded).rstrip(), file=file)


def say(text: str) -> None:
    """Print a line about what happens to standard error, which leaves standard output to results."""
    print(one_line(text), file=sys.stderr, flush=True)


def confirm(question: str) -> bool:
    """Ask a question that is answered with y for yes. Anything else is no.

    Raises:
        CommandError: there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise CommandError("nothing was changed, because nobody can be asked: run the same command again with --yes")
    print(f"{one_line(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
