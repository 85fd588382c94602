"""The recognition service: fetches pictures and has worker processes recognize the people in them, within limits."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from facerec.inference.jobs import LoadedModels
from facerec.inference.results import PictureResult
from facerec.inference.worker_pool import WorkerPool
from facerec.pictures.data_urls import is_data_url
from facerec.pictures.fetch import Fetcher
from facerec.pictures.urls import host_of
from facerec.serving.errors import InternalError, NoFace, ServiceError
from facerec.serving.settings import Framing, Settings
from facerec.serving.telemetry import PictureRecord


class RecognitionService:
    """Answers requests about pictures.

    Fetching and recognizing have separate limits: pictures that wait for the network do not take the slots of pictures
    that are being recognized.

    Attributes:
        models: what the workers have loaded.
        names: names of the people whom the model knows, in the order of the model's columns.
        threshold: cosine similarity below which a face belongs to nobody whom the model knows.
        batch_concurrency: pictures of one batch that are worked on at the same time. They find free slots on an idle
            service, and leave slots to other clients.
    """

    def __init__(self, settings: Settings, *, models: LoadedModels, workers: WorkerPool, fetcher: Fetcher) -> None:
        self.models = models
        self.names = [person.name for person in models.recognizer.people]
        self.threshold = models.recognizer.threshold if settings.threshold is None else settings.threshold
        self.batch_concurrency = max(1, min(settings.max_fetches, settings.workers + settings.max_waiting) // 2)
        self._framing = settings.framing
        self._workers = workers
        self._fetcher = fetcher

    async def recognize_url(self, url: str, framing: Framing | None, record: PictureRecord) -> PictureResult:
        """Recognize the people in the picture at `url`. `record` is filled in on the way.

        Raises:
            ServiceError: any of the tree but a RequestError.
        """
        if is_data_url(url):
            return await self._recognize(url, framing, record)
        record.host = host_of(url)
        with _errors_recorded(record), record.stage("fetch"):
            data = await self._fetcher.fetch(url)
        return await self._recognize(data, framing, record)

    async def recognize_bytes(self, data: bytes, framing: Framing | None, record: PictureRecord) -> PictureResult:
        """Recognize the people in the picture file `data`. `record` is filled in on the way.

        Raises:
            ServiceError: any of the tree but a RequestError.
        """
        return await self._recognize(data, framing, record)

    async def _recognize(self, source: bytes | str, framing: Framing | None, record: PictureRecord) -> PictureResult:
        with _errors_recorded(record):
            answer = await self._workers.recognize(
                source, "detect" if (framing or self._framing) == "auto" else "centre"
            )
            record.add(answer.trace)
            if answer.error:
                raise answer.error
            assert answer.result
            if answer.result.output is None:
                raise NoFace
            return answer.result


@contextmanager
def _errors_recorded(record: PictureRecord) -> Iterator[None]:
    """Raise expected errors of the block as ServiceErrors, and keep the outcome in `record`."""
    try:
        yield
    except asyncio.CancelledError:
        record.outcome = "cancelled"
        raise
    except Exception as error:
        answer = ServiceError.wrapping(error)
        record.outcome = answer.code
        if isinstance(answer, InternalError):
            raise  # the request's log line names the type and the place of the original exception
        raise answer from None
