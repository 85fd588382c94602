"""From pictures to rows, in worker processes."""

import asyncio
import hashlib
import queue
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple, Self, TypeVar

import pyarrow as pa

from facerec.errors import CodedError
from facerec.inference.errors import InferenceError, WorkerLost
from facerec.inference.jobs import WorkerOptions
from facerec.inference.results import PictureResult
from facerec.inference.worker_pool import WorkerPool
from facerec.labelling.errors import ModelFailed, WorkerEnded
from facerec.labelling.found import FoundPicture
from facerec.labelling.matching import Matcher
from facerec.labelling.reading import ByteBudget, PictureReader
from facerec.labelling.rows import Row, label_schema, to_batch
from facerec.pictures.fetch import FetchLimits

_AHEAD = 16
"""Pictures that are read or wait for a worker, besides one in each worker. Enough for storages that take a tenth of a
second for a picture, and to keep the workers busy while a part is written."""
_AHEAD_BYTES = 256 * 2**20
"""Bytes of all pictures in memory."""
_UNKNOWN_BYTES = 8 * 2**20
"""What a picture counts whose size is not known before it is fetched."""

_BATCH_ROWS = 500
BATCH_SECONDS = 1.0
"""A batch ends with the first picture that reaches one of these."""

FETCH_SECONDS = 30
"""Seconds that fetching a URL may take."""

T = TypeVar("T")


class RecognizedPicture(NamedTuple):
    """What was found in a picture: either `result` or `error` is set."""

    picture: FoundPicture
    """With the size and time of what was read."""
    sha256: str | None
    """`None` if it could not be read."""
    result: PictureResult | None = None
    error: CodedError | None = None


class Labeller:
    """Worker processes that recognize the people in pictures, for as long as the block lasts.

    Args:
        options: what a worker loads, and what a picture may take.
        workers: number of processes. Use one for each CPU.
        limits: of fetching URLs. By default `FETCH_SECONDS`, the bytes of `options`, and public hosts alone.

    Attributes:
        models: what the workers have loaded.
        schema: of the rows.

    Raises:
        ModelFileError: a model file can't be used.
        WorkerLost: a process ended or gave no answer while it started.
    """

    def __init__(self, options: WorkerOptions, *, workers: int, limits: FetchLimits | None = None) -> None:
        self._ahead = workers + _AHEAD
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="label", daemon=True)
        self._budget = ByteBudget(_AHEAD_BYTES)
        self._reader = PictureReader(
            limits or FetchLimits(deadline=FETCH_SECONDS, max_bytes=options.max_bytes), concurrency=self._ahead
        )
        self._workers = WorkerPool(options, workers=workers, queue_size=self._ahead)
        self._thread.start()
        try:
            self.models = self._submit(self._workers.start()).result()
        except BaseException:
            self.close()
            raise
        self.schema = label_schema(self.models.recognizer.embedding_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes. Pictures that are being recognized are dropped."""
        self._workers.close()
        self._reader.close()
        self._submit(_cancel_others()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def label(
        self, pictures: Iterable[FoundPicture], matcher: Matcher, *, batch_seconds: float = BATCH_SECONDS
    ) -> Iterator[pa.RecordBatch]:
        """The rows of pictures, see `rows.Row`. All rows of a picture are in the same batch.

        Args:
            pictures: are taken a little ahead of the rows.
            matcher: says whose the faces are.
            batch_seconds: seconds after which a batch ends. It has about 500 rows at most.
        """
        rows: list[Row] = []
        started = time.monotonic()
        for recognized in self.recognize(pictures):
            rows += picture_rows(recognized, matcher, self.models.recognizer_checksum)
            if len(rows) >= _BATCH_ROWS or time.monotonic() - started >= batch_seconds:
                yield to_batch(rows, self.schema)
                rows, started = [], time.monotonic()
        if rows:
            yield to_batch(rows, self.schema)

    def recognize(self, pictures: Iterable[FoundPicture]) -> Iterator[RecognizedPicture]:
        """What was found in each picture, in any order. A picture never raises an error."""
        done: queue.SimpleQueue[Future[RecognizedPicture]] = queue.SimpleQueue()
        waiting: set[Future[RecognizedPicture]] = set()
        try:
            for picture in pictures:
                future = self._submit(self._recognize(picture))
                waiting.add(future)
                future.add_done_callback(done.put)
                while len(waiting) == self._ahead or not done.empty():
                    waiting.remove(finished := done.get())
                    yield finished.result()
            while waiting:
                waiting.remove(finished := done.get())
                yield finished.result()
        finally:
            for future in waiting:
                future.cancel()

    async def _recognize(self, picture: FoundPicture) -> RecognizedPicture:
        size = _UNKNOWN_BYTES if picture.bytes is None else picture.bytes
        async with self._budget.hold(size):
            sha256 = None
            try:
                picture, data = await self._reader.read(picture)
                answer = await self._workers.recognize(data, "detect")
                if answer.result:
                    return RecognizedPicture(picture, answer.result.sha256, answer.result)
                sha256 = hashlib.sha256(data).hexdigest()
                failure: CodedError | InferenceError | None = answer.error
            except (CodedError, InferenceError) as error:
                failure = error
            return RecognizedPicture(picture, sha256, error=_coded(failure))

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


async def _cancel_others() -> None:
    """Cancel all other tasks of the loop, and wait until they have ended."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _coded(error: CodedError | InferenceError | None) -> CodedError:
    if isinstance(error, CodedError):
        return error
    return WorkerEnded() if isinstance(error, WorkerLost) else ModelFailed.because(error)


def picture_rows(recognized: RecognizedPicture, matcher: Matcher, model: str) -> list[Row]:
    """The rows of a picture.

    Args:
        recognized: what was found in it.
        matcher: says whose the faces are.
        model: SHA-256 of the recognizer's file.
    """
    picture, sha256, result, error = recognized
    if result is None:
        assert error
        return [Row.of_error(picture, sha256, error, model)]
    matches = [] if result.embeddings is None else matcher.match(result.embeddings)
    return list(Row.of_picture(picture, result, matches, model))
