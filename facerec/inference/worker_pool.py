"""A pool of worker processes that recognize pictures, for callers that must outlive every picture.

Each process has its own models, a memory limit and a limit of CPU time for a picture. A process that ends is replaced
at once; the other processes don't notice. No library of process pools is used: with ProcessPoolExecutor of the standard
library and with pebble's ProcessPool, the system can end the whole pool by killing one process.
"""

import asyncio
import contextlib
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
from multiprocessing.connection import Connection

from pydantic import ValidationError

from facerec.inference.cropping import CropMode
from facerec.inference.errors import ModelFileError, WorkerLost
from facerec.inference.jobs import Answer, Job, LoadedModels, WorkerOptions
from facerec.pictures.bounded_pool import BoundedPool, Slots
from facerec.pictures.errors import PictureTooCostly

_START_SECONDS = 60
"""Seconds in which a process must have loaded its models."""
_ELAPSED_PER_CPU_SECOND = 10
"""Seconds that a picture may take for each second of CPU time that it may take, because processes wait for CPUs. A
process that does not answer even then has stopped and is killed."""
_MAX_ANSWER_BYTES = 2**26
"""Bytes of an answer. One with a picture and 20 faces has about 4 MB."""


class WorkerPool:
    """Recognizes pictures in worker processes, with a bounded queue.

    The processes start with the pool and live until `close`.

    Args:
        options: what a worker loads, and what it may take.
        workers: number of processes.
        queue_size: pictures that may wait for a process.
    """

    def __init__(self, options: WorkerOptions, *, workers: int, queue_size: int) -> None:
        self._workers = [_Worker(options) for _ in range(workers)]
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()  # the last one used has warm caches
        for worker in self._workers:
            self._idle.put(worker)
        self._pool = BoundedPool("compute", threads=workers, queue_size=queue_size)

    @property
    def slots(self) -> Slots:
        """One for each picture that is being recognized or queued."""
        return self._pool.slots

    @property
    def replaced(self) -> int:
        """Number of processes that have ended and were replaced."""
        return sum(worker.replaced for worker in self._workers)

    async def start(self) -> LoadedModels:
        """Wait until all processes have loaded the models.

        Raises:
            ModelFileError: a model file can't be used.
            WorkerLost: a process ended or gave no answer while it started.
        """
        loaded = await asyncio.gather(*(asyncio.to_thread(worker.wait_until_loaded) for worker in self._workers))
        return loaded[0]

    async def recognize(self, source: bytes | str, crop_mode: CropMode, *, preview: bool = False) -> Answer:
        """Recognize the people in a picture.

        A caller that is cancelled while its picture is queued frees its slot. A picture that is being recognized is
        finished in any case.

        Args:
            source: the picture file, or a `data:` URL that holds it.
            crop_mode: whether to detect faces or to take the picture's centre.
            preview: whether the result holds the picture as it was read.

        Raises:
            PoolFull: all processes are busy and the queue is full.
            PictureTooCostly: the process was killed at the limit of CPU time, or broke down over the picture.
            WorkerLost: the process ended or gave no answer, and the picture isn't known to be the reason.
        """
        return await self._pool.run(self._recognize, Job(source, crop_mode, preview))

    def _recognize(self, job: Job) -> Answer:
        worker = self._idle.get()  # there is one: the pool has as many threads as workers
        try:
            return worker.ask(job)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """Accept no more pictures and end the processes."""
        self._pool.close()
        for worker in self._workers:
            worker.close()


def _environment() -> dict[str, str]:
    """The environment variables of a worker: what it takes to import the same packages as this process, and its GPUs.

    The others may hold secrets, which a decoder that a picture has taken over must not find.
    """
    names = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "PYTHONHOME")
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    return inherited | {
        "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path),
        "OPENBLAS_NUM_THREADS": "1",  # NumPy would start a thread for each CPU, with memory that counts to the limit
    }


class _Worker:
    """One worker process and its replacements. Used by one thread at a time."""

    def __init__(self, options: WorkerOptions) -> None:
        self.replaced = 0
        self._options = options
        self._closed = False
        self._loaded: LoadedModels | None = None
        self._start()

    def wait_until_loaded(self) -> LoadedModels:
        """The models that the process has loaded.

        Raises:
            ModelFileError: a model file can't be used.
            WorkerLost: the process ended or gave no answer.
        """
        if self._loaded is None:
            try:
                answer: LoadedModels | ModelFileError = self._connection.recv()
            except (EOFError, OSError) as error:
                raise WorkerLost(self._why_not_loaded(error)) from None
            if isinstance(answer, ModelFileError):
                raise answer
            self._loaded = answer
            self._set_timeout(self._options.cpu_seconds * _ELAPSED_PER_CPU_SECOND)
        return self._loaded

    def _why_not_loaded(self, error: EOFError | OSError) -> str:
        """What happened to a process that has not said which models it has loaded."""
        if isinstance(error, BlockingIOError):
            return f"A worker process did not load the models within {_START_SECONDS} seconds."
        status = self._process.wait()
        ended = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        return f"A worker process {ended} while it started. Signal 9 is often the system's, for lack of memory."

    def ask(self, job: Job) -> Answer:
        """The process's answer. A process that has died or fails to answer is replaced.

        Raises:
            PictureTooCostly: the process was killed at the limit of CPU time, or broke down over the picture.
            WorkerLost: the process ended or gave no answer, and the picture isn't known to be the reason.
        """
        if self._process.poll() is not None:
            self._replace()
        try:
            self.wait_until_loaded()
        except (ModelFileError, WorkerLost) as error:
            self._replace()
            raise WorkerLost(str(error)) from None
        try:
            self._connection.send(job)
            return Answer.from_json(self._connection.recv_bytes(_MAX_ANSWER_BYTES))
        except (EOFError, OSError, ValidationError):
            status = self._replace()
        # Only the system and `_end` send SIGKILL. All other signals are the picture's doing.
        raise WorkerLost if status in {-signal.SIGKILL, -signal.SIGTERM} else PictureTooCostly

    def close(self) -> None:
        """End the process. It is not replaced any more."""
        self._closed = True
        self._end()

    def _start(self) -> None:
        self._loaded = None
        self._socket, theirs = socket.socketpair()
        self._set_timeout(_START_SECONDS)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - nothing in the command comes from outside
                # -P: modules that lie in the current folder are not for the worker, unless they are for this process.
                [sys.executable, "-P", "-m", "facerec.inference.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # decoders in C print warnings about pictures there
                process_group=0,  # Ctrl-C is for the caller, which then ends its workers
            )
        self._connection = Connection(os.dup(self._socket.fileno()))
        self._connection.send(self._options)

    def _end(self) -> int:
        """End the process. The result is its exit status, negative for a signal."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()  # first: a process whose connection is closed would end by itself, with another status
        self._connection.close()
        self._socket.close()
        return self._process.wait()

    def _replace(self) -> int:
        """Start another process in place of one that has ended or is to end. The result is the exit status.

        Where the system can't start one now, the next picture tries again.
        """
        status = self._end()
        if not self._closed:
            with contextlib.suppress(OSError):
                self._start()
                self.replaced += 1
        return status

    def _set_timeout(self, seconds: float) -> None:
        """Let sending and receiving fail with OSError once the process takes and gives no byte for `seconds`."""
        timeval = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, timeval)
