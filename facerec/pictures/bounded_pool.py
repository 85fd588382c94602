"""A bounded crew of threads: what does not fit is refused at once, never queued without bound."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from facerec.serving.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")


class Gate:
    """Runs blocking work in at most `threads` threads while at most `waiting` more calls stand in line.

    A place is given back when the work itself ends, not when its caller stops waiting: a thread that an impatient
    caller left behind still counts.
    """

    def __init__(self, name: str, *, threads: int, waiting: int = 0) -> None:
        self.name = name
        self.held = 0
        """Calls that run or stand in line now."""
        self._room = threads + waiting
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` in a thread. If the caller is cancelled while standing in line, `work` is never called.

        Raises:
            Overloaded: there is no room.
        """
        with self._lock:
            if self.held >= self._room:
                raise Overloaded
            self.held += 1
        call = [partial(work, *args, **kwargs)]

        def start() -> T:
            return call.pop()()

        def end(_: Future[T] | None = None) -> None:
            call.clear()  # a cancelled call stays in the executor's queue: the picture that it holds must not
            self._leave()

        try:
            future = self._threads.submit(start)
        except RuntimeError:  # no thread can be started, yet the executor has put the call in line
            end()
            raise
        future.add_done_callback(end)
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        with self._lock:
            self.held -= 1

    def close(self) -> None:
        """Take no more work; threads end once what they do now has ended."""
        self._threads.shutdown(wait=False, cancel_futures=True)
