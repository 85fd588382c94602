"""From a URL or bytes to a recognition: fetch, then decode and recognise, each behind its own limit."""

from collections.abc import Callable
from functools import partial

from facerec.serving.decode import decode
from facerec.serving.errors import ServiceError
from facerec.serving.fetch import Fetcher
from facerec.serving.gate import Gate
from facerec.serving.metrics import Metrics
from facerec.serving.recognizer import Recognition, Recognizer
from facerec.serving.records import PictureRecord
from facerec.serving.settings import Settings
from facerec.serving.urls import host_of, is_data_url, read_data_url


class Pipeline:
    """Waiting for the network (the fetcher's gate) and computing (`compute`) do not take each other's places."""

    def __init__(
        self, settings: Settings, *, recognizer: Recognizer, fetcher: Fetcher, compute: Gate, metrics: Metrics
    ) -> None:
        self.recognizer = recognizer
        self.metrics = metrics
        self.names = [person.name for person in recognizer.metadata.people]
        self.threshold = recognizer.metadata.threshold if settings.threshold is None else settings.threshold
        self._settings = settings
        self._fetcher = fetcher
        self._compute = compute

    async def recognize_url(self, url: str, record: PictureRecord) -> Recognition:
        """Recognise the picture at `url`; `record` learns how it went.

        Raises:
            ServiceError: see the tree.
        """
        if is_data_url(url):
            return await self._recognize(partial(read_data_url, url, max_bytes=self._settings.max_bytes), record)
        record.host = host_of(url)
        try:
            with self.metrics.stage("fetch", record):
                data = await self._fetcher.fetch(url)
        except ServiceError as error:
            record.outcome = error.code
            raise
        return await self.recognize_bytes(data, record)

    async def recognize_bytes(self, data: bytes, record: PictureRecord) -> Recognition:
        """Recognise the picture that `data` is the file of; `record` learns how it went.

        Raises:
            ServiceError: see the tree.
        """
        return await self._recognize(lambda: data, record)

    async def _recognize(self, read: Callable[[], bytes], record: PictureRecord) -> Recognition:
        try:
            return await self._compute.run(self._decode_and_recognize, read, record)
        except ServiceError as error:
            record.outcome = error.code
            raise

    def _decode_and_recognize(self, read: Callable[[], bytes], record: PictureRecord) -> Recognition:
        """Both in one thread: a hand-over costs more than it could win."""
        with self.metrics.stage("decode", record):
            data = read()
            record.bytes = len(data)
            picture = decode(data, max_bytes=self._settings.max_bytes, max_pixels=self._settings.max_pixels)
            record.width, record.height = picture.width, picture.height
        with self.metrics.stage("infer", record):
            return self.recognizer.recognize(picture.frame[None])
