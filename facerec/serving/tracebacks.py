"""What the tracebacks of exceptions keep in memory."""


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
