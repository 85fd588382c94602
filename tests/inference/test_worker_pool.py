import asyncio
import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from pydantic import ValidationError

from facerec.inference import worker_pool
from facerec.inference.cropping import Face
from facerec.inference.errors import InvalidOutput, ModelFileError, WorkerFault, WorkerLost
from facerec.inference.jobs import Answer, WorkerOptions
from facerec.inference.results import PictureResult, Trace
from facerec.inference.worker_pool import WorkerPool
from facerec.pictures.errors import PictureTooCostly, PoolFull, UnsupportedPicture
from tests.harness import ROOT, data_url, photo, picture, saved, wait_until
from tests.toy_model import toy_graph, toy_metadata, write_model

LARGE = picture(size=(5000, 5000))


@pytest.fixture
def options(model: Path, detector: Path, landmarks: Path) -> WorkerOptions:
    return WorkerOptions(
        recognizer=model,
        detector=detector,
        landmarks=landmarks,
        threads=1,
        max_bytes=10**7,
        max_pixels=25_000_000,
        max_faces=20,
        memory_bytes=2**30,
        cpu_seconds=5,
    )


@asynccontextmanager
async def pool_of(options: WorkerOptions, *, workers: int = 1, queue_size: int = 8) -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(options, workers=workers, queue_size=queue_size)
    try:
        await pool.start()
        yield pool
    finally:
        pool.close()


def in_pool(
    options: WorkerOptions, test: Callable[[WorkerPool], Awaitable[None]], *, workers: int = 1, queue_size: int = 8
) -> None:
    async def run() -> None:
        async with pool_of(options, workers=workers, queue_size=queue_size) as pool:
            await test(pool)

    asyncio.run(run())


def worker_processes() -> list[psutil.Process]:
    """The worker processes of this process, as they are seen from outside."""
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "facerec.inference.worker" in child.cmdline()
    ]


def test_a_picture_is_recognized_from_a_file_and_from_a_data_url(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        for source in (picture("red"), data_url(picture("red"))):
            answer = await pool.recognize(source, "centre")
            assert answer.result
            assert answer.result.embeddings is not None
            assert answer.result.embeddings.argmax() == 0
            assert set(answer.trace.milliseconds) == {"decode", "infer"}
        faces = (await pool.recognize(saved(photo((48, 80, "lime"))), "detect")).result
        assert faces
        assert len(faces.faces) == 1

    in_pool(options, test)


def test_a_refused_picture_is_an_answer_and_its_worker_stays(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        answer = await pool.recognize(b"nothing", "centre")
        assert isinstance(answer.error, UnsupportedPicture)
        assert answer.trace.bytes == 7
        assert pool.replaced == 0

    in_pool(options, test)


def test_an_unexpected_exception_is_told_by_type_and_place_alone(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        answer = await pool.recognize(3, "centre")  # type: ignore[arg-type]
        assert isinstance(answer.error, WorkerFault)
        assert str(answer.error).startswith("TypeError at ")

    in_pool(options, test)


def test_a_model_that_gives_nan_is_an_answer(options: WorkerOptions, tmp_path: Path) -> None:
    broken = tmp_path / "nan.onnx"
    write_model(broken, toy_graph(nan_for_white=True), toy_metadata())

    async def test(pool: WorkerPool) -> None:
        assert isinstance((await pool.recognize(picture("white"), "centre")).error, InvalidOutput)

    in_pool(replace(options, recognizer=broken), test)


def test_a_worker_that_does_not_start_is_a_line_that_says_what_happened(
    options: WorkerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(signal_: signal.Signals) -> None:
        pool = WorkerPool(options, workers=1, queue_size=1)
        try:
            wait_until(lambda: bool(worker_processes()))
            worker_processes()[0].send_signal(signal_)
            await pool.start()
        finally:
            pool.close()

    with pytest.raises(WorkerLost, match="was killed by signal 9 while it started"):
        asyncio.run(start(signal.SIGKILL))
    monkeypatch.setattr(worker_pool, "_START_SECONDS", 1)
    with pytest.raises(WorkerLost, match="did not load the models within 1 seconds"):
        asyncio.run(start(signal.SIGSTOP))


@pytest.mark.parametrize("name", ["recognizer", "detector", "landmarks"])
def test_a_model_that_cannot_be_loaded_ends_the_start(options: WorkerOptions, name: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {name: tmp_path / "absent.onnx"}

    async def start() -> None:
        async with pool_of(replace(options, **changes), workers=2):
            pass

    with pytest.raises(ModelFileError, match=r"absent\.onnx is missing"):
        asyncio.run(start())
    assert not worker_processes()


def test_too_much_cpu_time_ends_the_worker_and_not_its_neighbours(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        costly, *good = await asyncio.gather(
            pool.recognize(LARGE, "centre"),
            *(pool.recognize(picture("red"), "centre") for _ in range(6)),
            return_exceptions=True,
        )
        assert isinstance(costly, PictureTooCostly)
        assert not any(isinstance(answer, BaseException) for answer in good)
        assert pool.replaced == 1
        assert (await pool.recognize(picture("red"), "centre")).result

    in_pool(replace(options, cpu_seconds=0.05), test, workers=2)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts all memory on Linux alone")
def test_too_much_memory_is_the_picture_s_fault_and_the_worker_stays(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        answer = await pool.recognize(LARGE, "centre")
        assert isinstance(answer.error, PictureTooCostly)
        assert (await pool.recognize(picture("red"), "centre")).result
        assert pool.replaced == 0

    in_pool(replace(options, memory_bytes=150 * 2**20), test)


def test_a_worker_that_the_system_kills_is_not_the_picture_s_fault(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        (process,) = worker_processes()
        answer = asyncio.create_task(pool.recognize(LARGE, "centre"))
        await asyncio.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        with pytest.raises(WorkerLost):
            await answer
        assert (await pool.recognize(picture("red"), "centre")).result

    in_pool(options, test)


def test_a_worker_that_dies_while_idle_costs_no_picture(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        for process in worker_processes():
            process.kill()
            process.wait()
        answers = await asyncio.gather(*(pool.recognize(LARGE, "centre") for _ in range(4)))
        assert all(answer.result for answer in answers)
        assert pool.replaced == 2

    in_pool(options, test, workers=2)


def test_a_worker_that_stops_is_replaced(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        (process,) = worker_processes()
        process.suspend()
        start = time.monotonic()
        with pytest.raises(WorkerLost):
            await pool.recognize(LARGE, "centre")
        assert time.monotonic() - start < 5
        assert (await pool.recognize(picture("red"), "centre")).result

    in_pool(replace(options, cpu_seconds=0.1), test)


def test_pictures_beyond_the_queue_are_refused_at_once(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        answers = await asyncio.gather(*(pool.recognize(LARGE, "centre") for _ in range(5)), return_exceptions=True)
        assert [type(answer) for answer in answers].count(PoolFull) == 3
        assert pool.slots.in_use == 0

    in_pool(options, test, queue_size=1)


def test_a_caller_that_leaves_ends_no_worker(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        running, queued = (asyncio.create_task(pool.recognize(LARGE, "centre")) for _ in range(2))
        await asyncio.sleep(0.05)
        queued.cancel()
        running.cancel()
        await asyncio.wait([running, queued])
        assert (await pool.recognize(picture("red"), "centre")).result
        assert (pool.slots.in_use, pool.replaced) == (0, 0)

    in_pool(options, test)


def test_no_process_outlives_the_pool(options: WorkerOptions) -> None:
    async def test(pool: WorkerPool) -> None:
        assert len(worker_processes()) == 2

    in_pool(options, test, workers=2)
    assert not worker_processes()


def test_no_process_outlives_its_caller(options: WorkerOptions) -> None:
    code = (
        "import asyncio, os, signal, psutil\n"
        "from pathlib import Path\n"
        "from facerec.inference.jobs import WorkerOptions\n"
        "from facerec.inference.worker_pool import WorkerPool\n"
        f"pool = WorkerPool({options!r}, workers=2, queue_size=0)\n"
        "asyncio.run(pool.start())\n"
        "print(*(child.pid for child in psutil.Process().children()), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    ).replace("PosixPath", "Path")
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, check=False, text=True)
    assert output.returncode == -signal.SIGKILL
    workers = [int(pid) for pid in output.stdout.split()]
    assert len(workers) == 2
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in workers))


def test_memory_of_refused_and_of_large_pictures_is_given_back(options: WorkerOptions) -> None:
    cut = LARGE[: len(LARGE) // 2]

    async def test(pool: WorkerPool) -> None:
        (process,) = worker_processes()
        await pool.recognize(picture("red"), "centre")
        before = process.memory_info().rss
        for source in (cut, LARGE, cut):
            await pool.recognize(source, "centre")
            assert process.memory_info().rss < before + 40 * 2**20

    in_pool(options, test)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"no JSON",
        b"{}",
        b"[]",
        b'[{"milliseconds": {}}, null, ["SystemExit", "3"]]',
        b'[{"milliseconds": {}}, null, ["UnsupportedPicture"]]',
        b'[{"milliseconds": 3}, null, null]',
        b'[{"milliseconds": {}}, null, null]',
        b'[{"milliseconds": {"any text": 1}}, null, ["UnsupportedPicture", "why"]]',
        b'[{"milliseconds": {}}, [[1, 2, "AAAA"], [], [], [], "", 1, 1], null]',
        b'[{"milliseconds": {}}, [null, [], [[["x", 1]]], [], "", 1, 1], null]',
        b'[{"milliseconds": {}}, [null, [], [[[1, 1' + b"0" * 400 + b']]], [], "", 1, 1], null]',
        pickle.dumps(Answer(Trace())),
    ],
)
def test_what_is_no_answer_is_refused(message: bytes) -> None:
    with pytest.raises(ValidationError):
        Answer.from_json(message)


def test_an_answer_comes_through_as_it_is() -> None:
    matrix = np.array([[0.1, -1e-9], [np.float32(1) / 3, 0]], np.float32)
    points = np.array([[1 / 3, 2], [3, 4], [5, 6], [7, 8], [9, 0.1]])
    face = Face(10.5, 1 / 3, 20, -0.1, 0.9)
    result = PictureResult(matrix, [face, face], [points, None], [0.1], "ab", 3, 4, 90, 7, "p")
    given = Answer(Trace(3, 1, 2, {"decode": 0.5}), result)
    answer = Answer.from_json(given.to_json())
    assert answer.result
    assert (answer.trace, answer.error, answer.result[3:]) == (given.trace, None, result[3:])
    assert answer.result.faces == result.faces
    assert answer.result.embeddings is not None
    assert np.array_equal(answer.result.embeddings, matrix)
    assert answer.result.embeddings.dtype == np.float32
    assert np.array_equal(answer.result.landmarks[0], points)  # type: ignore[arg-type]
    assert answer.result.landmarks[1] is None
    for error in (UnsupportedPicture(), PictureTooCostly("more exact"), WorkerFault("at a.py:3")):
        told = Answer.from_json(Answer(Trace(), error=error).to_json()).error
        assert (type(told), str(told)) == (type(error), str(error))


def test_an_answer_that_is_none_costs_the_worker(options: WorkerOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(pool: WorkerPool) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "recv_bytes", lambda *_: pickle.dumps(Answer(Trace())))
            with pytest.raises(WorkerLost):
                await pool.recognize(picture(), "centre")
        assert pool.replaced == 1
        assert (await pool.recognize(picture(), "centre")).result

    in_pool(options, test)


def test_a_worker_that_can_not_be_started_again_is_not_the_picture_s_fault(
    options: WorkerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_process(*_: Any, **__: Any) -> None:
        raise OSError(errno.EAGAIN, "no more processes")

    async def test(pool: WorkerPool) -> None:
        (process,) = worker_processes()
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", no_process)
            process.send_signal(signal.SIGPROF)  # as at the limit of CPU time of a picture before
            process.wait()
            for _ in range(3):
                with pytest.raises(WorkerLost):
                    await pool.recognize(picture(), "centre")
        assert pool.replaced == 0
        assert (await pool.recognize(picture(), "centre")).result
        assert pool.replaced == 1

    in_pool(options, test)


def test_secrets_are_in_no_worker_s_environment(options: WorkerOptions) -> None:
    os.environ["API_KEY"] = "secret"
    try:

        async def test(pool: WorkerPool) -> None:
            (process,) = worker_processes()
            assert "API_KEY" not in process.environ()

        in_pool(options, test)
    finally:
        del os.environ["API_KEY"]
