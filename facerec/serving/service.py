"""The recognition service: fetches pictures and runs the pipeline on them, within limits."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from facerec.inference.cropping import CropMode
from facerec.inference.pipeline import PictureResult, Pipeline
from facerec.pictures.bounded_pool import BoundedPool
from facerec.pictures.fetch import Fetcher
from facerec.pictures.urls import host_of, is_data_url, read_data_url
from facerec.serving.errors import InternalError, NoFace, ServiceError
from facerec.serving.settings import Framing, Settings
from facerec.serving.telemetry import PictureRecord


class RecognitionService:
    """Answers requests about pictures.

    Fetching and computing have separate pools: pictures that wait for the network do not take the slots of pictures
    that are being recognized.

    Attributes:
        pipeline: recognizes the people in a picture.
        names: names of the people whom the model knows, in the order of the model's columns.
        threshold: cosine similarity below which a face belongs to nobody whom the model knows.
        batch_concurrency: pictures of one batch that are worked on at the same time. They find free slots on an idle
            service, and leave slots to other clients.
    """

    def __init__(self, settings: Settings, *, pipeline: Pipeline, fetcher: Fetcher, compute_pool: BoundedPool) -> None:
        metadata = pipeline.recognizer.metadata
        self.pipeline = pipeline
        self.names = [person.name for person in metadata.people]
        self.threshold = metadata.threshold if settings.threshold is None else settings.threshold
        self.batch_concurrency = max(
            1, min(settings.max_fetches, settings.max_recognitions + settings.max_waiting) // 2
        )
        self._settings = settings
        self._fetcher = fetcher
        self._compute_pool = compute_pool

    async def recognize_url(self, url: str, framing: Framing | None, record: PictureRecord) -> PictureResult:
        """Recognize the people in the picture at `url`. `record` is filled in on the way.

        Raises:
            ServiceError: any of the tree but a RequestError.
        """
        if is_data_url(url):
            read = partial(read_data_url, url, max_bytes=self._settings.max_bytes)
            return await self._recognize(read, framing, record)
        record.host = host_of(url)
        with _errors_recorded(record), record.stage("fetch"):
            data = await self._fetcher.fetch(url)
        return await self.recognize_bytes(data, framing, record)

    async def recognize_bytes(self, data: bytes, framing: Framing | None, record: PictureRecord) -> PictureResult:
        """Recognize the people in the picture file `data`. `record` is filled in on the way.

        Raises:
            ServiceError: any of the tree but a RequestError.
        """
        return await self._recognize(lambda: data, framing, record)

    async def _recognize(
        self, read: Callable[[], bytes], framing: Framing | None, record: PictureRecord
    ) -> PictureResult:
        crop_mode: CropMode = "detect" if (framing or self._settings.framing) == "auto" else "centre"
        with _errors_recorded(record):
            result = await self._compute_pool.run(self.pipeline.recognize, read, crop_mode, record)
            if result.output is None:
                raise NoFace
            return result


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
