"""The base of every error that is reported to whoever sent a picture, and what the log says about any other."""

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Self


class CodedError(Exception):
    """An error with a stable code for programs and a message for people.

    `str(error)` may be shown to anyone: it never holds what the client sent.
    """

    code: str
    """Stable name of the error. Only classes that can be raised define it."""
    message: str
    """Text for people, unless the error is raised with a more exact one."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)

    @classmethod
    def leaves(cls) -> Iterator[type[Self]]:
        """The errors of this class's tree that can be raised: those that define a code."""
        if "code" in vars(cls):
            yield cls
        for child in cls.__subclasses__():
            yield from child.leaves()


def raised_at(exception: BaseException) -> str:
    """The type of an unexpected exception, and the file and line that raised it. Its message could quote a client."""
    frames = traceback.extract_tb(exception.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(exception).__name__ + place
