import asyncio
import gc
import threading
import time
import weakref

import pytest

from facerec.pictures.bounded_pool import Gate
from facerec.serving.errors import Overloaded
from tests.serving.harness import wait_until


def test_what_does_not_fit_is_refused_at_once() -> None:
    async def scenario() -> None:
        gate, door = Gate("test", threads=2, waiting=1), threading.Event()
        inside = [asyncio.create_task(gate.run(door.wait, 5)) for _ in range(3)]
        await asyncio.sleep(0)
        assert gate.held == 3
        start = time.monotonic()
        with pytest.raises(Overloaded):
            await gate.run(door.wait, 5)
        assert time.monotonic() - start < 1
        door.set()
        assert await asyncio.gather(*inside) == [True] * 3
        assert gate.held == 0
        gate.close()

    asyncio.run(scenario())


def test_an_exception_gives_the_place_back() -> None:
    async def scenario() -> None:
        gate = Gate("test", threads=1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await gate.run(divmod, 1, 0)
        assert gate.held == 0
        gate.close()

    asyncio.run(scenario())


def test_who_is_cancelled_in_line_gives_the_place_back_and_is_never_called() -> None:
    async def scenario() -> None:
        gate, door, called = Gate("test", threads=1, waiting=1), threading.Event(), threading.Event()
        running = asyncio.create_task(gate.run(door.wait, 5))
        waiting = asyncio.create_task(gate.run(called.set))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert gate.held == 1
        door.set()
        await running
        gate.close()
        assert not called.is_set()

    asyncio.run(scenario())


def test_what_a_cancelled_call_held_is_let_go_at_once() -> None:
    class Picture:
        pass

    async def scenario() -> None:
        gate, door = Gate("test", threads=1, waiting=1), threading.Event()
        running = asyncio.create_task(gate.run(door.wait, 5))
        picture = Picture()
        there = weakref.ref(picture)
        waiting = asyncio.create_task(gate.run(id, picture))
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
        gate.close()

    asyncio.run(scenario())


def test_a_thread_that_was_left_behind_still_counts() -> None:
    async def scenario() -> None:
        gate, door = Gate("test", threads=1), threading.Event()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gate.run(door.wait, 5), timeout=0.01)
        with pytest.raises(Overloaded):
            await gate.run(door.wait, 5)
        door.set()
        wait_until(lambda: gate.held == 0)
        gate.close()

    asyncio.run(scenario())


def test_a_thread_that_can_not_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario() -> None:
        gate, called = Gate("test", threads=1), threading.Event()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError):
                await gate.run(called.set)
        assert gate.held == 0
        await gate.run(int)  # the executor has kept the call before it in line
        assert not called.is_set()
        gate.close()

    asyncio.run(scenario())
