"""A thread pool with a bounded queue: calls that do not fit are refused at once."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from facerec.pictures.errors import PoolFull

P = ParamSpec("P")
T = TypeVar("T")


class BoundedPool:
    """Runs blocking calls in at most `threads` threads, with at most `queue_size` further calls queued.

    A call takes a slot until it ends. A caller that stops waiting for a running call does not free its slot, because
    the thread is still busy.
    """

    def __init__(self, name: str, *, threads: int, queue_size: int = 0) -> None:
        self.name = name
        self.slots_in_use = 0
        """Number of calls that are running or queued."""
        self._capacity = threads + queue_size
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` in a thread. It is never called if the caller is cancelled while the call is queued.

        Raises:
            PoolFull: all slots are in use.
        """
        with self._lock:
            if self.slots_in_use >= self._capacity:
                raise PoolFull
            self.slots_in_use += 1
        call = [partial(function, *args, **kwargs)]

        def start() -> T:
            return call.pop()()

        def end(_: Future[T] | None = None) -> None:
            call.clear()  # the executor's queue keeps a cancelled call; the picture in its arguments must be freed
            with self._lock:
                self.slots_in_use -= 1

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
