"""What an exception's traceback tells, and what it keeps in memory."""

import traceback
from pathlib import Path


def raised_at(exception: BaseException) -> str:
    """The type of an exception, and the file and line that raised it. Its message could quote a client."""
    frames = traceback.extract_tb(exception.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(exception).__name__ + place


def drop_tracebacks(exception: BaseException) -> None:
    """Drop the tracebacks of an exception that has been handled, and of the exceptions that led to it.

    A traceback refers to the local variables of the functions that were left, such as a request's body. A function
    that keeps an exception in a variable before raising it, as FastAPI does, closes a reference cycle: the body would
    stay in memory until the garbage collector looks for cycles.
    """
    pending: list[BaseException | None] = [exception]
    while pending:
        if (each := pending.pop()) and each.__traceback__:
            each.__traceback__ = None
            pending += (each.__cause__, each.__context__)
