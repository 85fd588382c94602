"""Stop a training in its middle."""


class stopping_at:  # noqa: N801 - used like a function
    """A function that raises KeyboardInterrupt, as Ctrl-C does, at the call number `step`, and is `inner` before."""

    def __init__(self, step: int, inner: object) -> None:
        self.stop, self.inner, self.calls = step, inner, 0

    def __call__(self, *arguments: object) -> object:
        self.calls += 1
        if self.calls == self.stop:
            raise KeyboardInterrupt
        assert callable(self.inner)
        return self.inner(*arguments)
