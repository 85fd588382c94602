import asyncio
import gc
import threading
import time
import weakref

import pytest

from facerec.pictures.bounded_pool import BoundedPool
from facerec.pictures.errors import PoolFull
from tests.harness import wait_until


def test_a_call_without_a_free_slot_is_refused_at_once() -> None:
    async def scenario() -> None:
        pool, door = BoundedPool("test", threads=2, queue_size=1), threading.Event()
        inside = [asyncio.create_task(pool.run(door.wait, 5)) for _ in range(3)]
        await asyncio.sleep(0)
        assert pool.slots.in_use == 3
        start = time.monotonic()
        with pytest.raises(PoolFull):
            await pool.run(door.wait, 5)
        assert time.monotonic() - start < 1
        door.set()
        assert await asyncio.gather(*inside) == [True] * 3
        assert pool.slots.in_use == 0
        pool.close()

    asyncio.run(scenario())


def test_an_exception_frees_the_slot() -> None:
    async def scenario() -> None:
        pool = BoundedPool("test", threads=1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await pool.run(divmod, 1, 0)
        assert pool.slots.in_use == 0
        pool.close()

    asyncio.run(scenario())


def test_a_call_cancelled_while_queued_frees_its_slot_and_never_runs() -> None:
    async def scenario() -> None:
        pool, door, called = BoundedPool("test", threads=1, queue_size=1), threading.Event(), threading.Event()
        running = asyncio.create_task(pool.run(door.wait, 5))
        waiting = asyncio.create_task(pool.run(called.set))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pool.slots.in_use == 1
        door.set()
        await running
        pool.close()
        assert not called.is_set()

    asyncio.run(scenario())


def test_the_arguments_of_a_cancelled_call_are_freed_at_once() -> None:
    class Picture:
        pass

    async def scenario() -> None:
        pool, door = BoundedPool("test", threads=1, queue_size=1), threading.Event()
        running = asyncio.create_task(pool.run(door.wait, 5))
        picture = Picture()
        there = weakref.ref(picture)
        waiting = asyncio.create_task(pool.run(id, picture))
        del picture
        await asyncio.sleep(0)
        assert there()
        waiting.cancel()
        await asyncio.wait([waiting])
        del waiting  # its exception holds the crops that it passed through
        gc.collect()
        assert there() is None
        door.set()
        await running
        pool.close()

    asyncio.run(scenario())


def test_a_thread_that_was_left_behind_still_counts() -> None:
    async def scenario() -> None:
        pool, door = BoundedPool("test", threads=1), threading.Event()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.run(door.wait, 5), timeout=0.01)
        with pytest.raises(PoolFull):
            await pool.run(door.wait, 5)
        door.set()
        wait_until(lambda: pool.slots.in_use == 0)
        pool.close()

    asyncio.run(scenario())


def test_a_thread_that_cannot_be_started_takes_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario() -> None:
        pool, called = BoundedPool("test", threads=1), threading.Event()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError):
                await pool.run(called.set)
        assert pool.slots.in_use == 0
        await pool.run(int)  # the executor has kept the call before it in line
        assert not called.is_set()
        pool.close()

    asyncio.run(scenario())
