"""Bounded concurrency: work that finds no free slot is refused at once."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from facerec.pictures.errors import PoolFull

P = ParamSpec("P")
T = TypeVar("T")


class Slots:
    """A limited number of slots for one kind of work. Safe to use from several threads.

    Attributes:
        name: names the kind of work in metrics.
        capacity: number of slots.
        in_use: number of slots that are taken.
    """

    def __init__(self, name: str, capacity: int) -> None:
        self.name = name
        self.capacity = capacity
        self.in_use = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take a slot until `free` is called.

        Raises:
            PoolFull: all slots are in use.
        """
        with self._lock:
            if self.in_use >= self.capacity:
                raise PoolFull
            self.in_use += 1

    def free(self) -> None:
        """Give a slot back."""
        with self._lock:
            self.in_use -= 1

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a slot during the block.

        Raises:
            PoolFull: all slots are in use.
        """
        self.take()
        try:
            yield
        finally:
            self.free()


class BoundedPool:
    """Runs blocking calls in at most `threads` threads, with at most `queue_size` further calls queued.

    A call takes a slot until it ends. A caller that stops waiting for a running call does not free its slot, because
    the thread is still busy.
    """

    def __init__(self, name: str, *, threads: int, queue_size: int = 0) -> None:
        self.slots = Slots(name, threads + queue_size)
        """One for each call that is running or queued."""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` in a thread. It is never called if the caller is cancelled while the call is queued.

        Raises:
            PoolFull: all slots are in use.
        """
        self.slots.take()
        call = [partial(function, *args, **kwargs)]

        def start() -> T:
            return call.pop()()

        def end(_: Future[T] | None = None) -> None:
            call.clear()  # the executor's queue keeps a cancelled call; the picture in its arguments must be freed
            self.slots.free()

        try:
            future = self._executor.submit(start)
        except RuntimeError:  # the executor queues the call even where it can't start a thread for it
            end()
            raise
        future.add_done_callback(end)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Accept no more calls. Running calls finish; queued calls are cancelled."""
        self._executor.shutdown(wait=False, cancel_futures=True)
