"""The recognition service: fetches pictures and has worker processes recognize the people in them, within limits."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from facerec.inference.cropping import CropMode
from facerec.inference.jobs import LoadedModels
from facerec.inference.results import PictureResult
from facerec.inference.worker_pool import WorkerPool
from facerec.pictures.data_urls import is_data_url
from facerec.pictures.fetch import Fetcher
from facerec.pictures.urls import host_of
from facerec.serving.errors import InternalError, NoFace, ServiceError
from facerec.serving.settings import Framing, Settings
from facerec.serving.telemetry import PictureRecord, RequestRecord
from facerec.serving.tracebacks import drop_tracebacks


class RecognitionService:
    """Answers requests about pictures.

    Fetching and recognizing have separate limits: pictures that wait for the network do not take the slots of pictures
    that are being recognized.

    Attributes:
        models: what the workers have loaded.
        batch_concurrency: pictures of one request that are worked on at the same time. They find free slots on an idle
            service, and leave slots to other clients.
    """

    def __init__(self, settings: Settings, *, models: LoadedModels, workers: WorkerPool, fetcher: Fetcher) -> None:
        self.models = models
        self.batch_concurrency = max(1, min(settings.max_fetches, settings.workers + settings.max_waiting) // 2)
        self._framing = settings.framing
        self._workers = workers
        self._fetcher = fetcher

    async def recognize(
        self, picture: bytes | str, framing: Framing | None, record: PictureRecord, *, preview: bool = False
    ) -> PictureResult:
        """Recognize the people in a picture.

        Args:
            picture: a picture file, or the URL of one.
            framing: how it is cropped. `None` takes the setting.
            record: is filled in on the way.
            preview: whether the result holds the picture as it was read.

        Raises:
            ServiceError: any of the tree but a RequestError.
        """
        if isinstance(picture, str) and not is_data_url(picture):
            record.host = host_of(picture)
            with _errors_recorded(record), record.stage("fetch"):
                picture = await self._fetcher.fetch(picture)
        return await self._recognize(picture, framing, record, preview)

    async def _recognize(
        self, source: bytes | str, framing: Framing | None, record: PictureRecord, preview: bool
    ) -> PictureResult:
        crop_mode: CropMode = "detect" if (framing or self._framing) == "auto" else "centre"
        with _errors_recorded(record):
            answer = await self._workers.recognize(source, crop_mode, preview=preview)
            record.add(answer.trace)
            if answer.error:
                raise answer.error
            assert answer.result
            if answer.result.embeddings is None:
                raise NoFace(picture=answer.result.preview)
            return answer.result


async def recognize_all(
    service: RecognitionService, pictures: Sequence[bytes | str], framing: Framing | None, record: RequestRecord
) -> list[PictureResult | ServiceError]:
    """Recognize the people in the pictures of one request, each of which fails on its own.

    The arguments are those of `RecognitionService.recognize`.
    """
    concurrency = asyncio.Semaphore(service.batch_concurrency)

    async def recognize(picture: bytes | str) -> PictureResult | ServiceError:
        try:
            async with concurrency:
                return await service.recognize(picture, framing, record.add_picture())
        except Exception as error:
            answer = ServiceError.wrapping(error)
            if isinstance(answer, InternalError):
                record.keep_exception(error)
            drop_tracebacks(error)
            return answer

    return await asyncio.gather(*map(recognize, pictures))


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
