"""From a URL or bytes to a recognition: fetch, then decode, detect and recognize, each behind its own limit."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Face, crop_centre, crop_face
from facerec.inference.detector import FaceDetector
from facerec.inference.recognizer import Recognition, Recognizer
from facerec.pictures.bounded_pool import Gate
from facerec.pictures.decode import Picture, PictureFile
from facerec.pictures.fetch import Fetcher
from facerec.pictures.urls import host_of, is_data_url, read_data_url
from facerec.serving.errors import InternalError, NoFace, ServiceError
from facerec.serving.settings import Framing, Settings
from facerec.serving.telemetry import Metrics, PictureRecord


class Recognized(NamedTuple):
    """Who is in a picture."""

    recognition: Recognition
    """Of each face, the most prominent first, or of the picture's centre."""
    faces: list[Face]
    """In pixels of the whole upright picture; none where its centre was recognized."""
    width: int
    """Of that picture."""
    height: int


class Pipeline:
    """Waiting for the network (the fetcher's gate) and computing (`compute`) do not take each other's places."""

    def __init__(
        self,
        settings: Settings,
        *,
        recognizer: Recognizer,
        detector: FaceDetector,
        fetcher: Fetcher,
        compute: Gate,
        metrics: Metrics,
    ) -> None:
        self.recognizer = recognizer
        self.detector = detector
        self.metrics = metrics
        self.names = [person.name for person in recognizer.metadata.people]
        self.threshold = recognizer.metadata.threshold if settings.threshold is None else settings.threshold
        self.batch_width = max(1, min(settings.max_fetches, settings.max_recognitions + settings.max_waiting) // 2)
        """Pictures of one batch that are worked on at once: it finds its places, and leaves some to other callers."""
        self._settings = settings
        self._fetcher = fetcher
        self._compute = compute

    async def recognize_url(self, url: str, framing: Framing | None, record: PictureRecord) -> Recognized:
        """Recognize the faces, or the centre, of the picture at `url`; `record` learns how it went.

        Raises:
            ServiceError: see the tree.
        """
        if is_data_url(url):
            read = partial(read_data_url, url, max_bytes=self._settings.max_bytes)
            return await self._recognize(read, framing, record)
        record.host = host_of(url)
        with _outcome(record), self.metrics.stage("fetch", record):
            data = await self._fetcher.fetch(url)
        return await self.recognize_bytes(data, framing, record)

    async def recognize_bytes(self, data: bytes, framing: Framing | None, record: PictureRecord) -> Recognized:
        """The same for the picture that `data` is the file of.

        Raises:
            ServiceError: see the tree.
        """
        return await self._recognize(lambda: data, framing, record)

    async def _recognize(self, read: Callable[[], bytes], framing: Framing | None, record: PictureRecord) -> Recognized:
        work = self._recognize_faces if (framing or self._settings.framing) == "auto" else self._recognize_centre
        with _outcome(record):
            return await self._compute.run(work, read, record)

    def _recognize_centre(self, read: Callable[[], bytes], record: PictureRecord) -> Recognized:
        """All in one thread, here as for faces: a hand-over costs more than it could win."""
        with self.metrics.stage("decode", record):
            file = self._open(read, record)
            picture = file.decode(shrink=min(file.size) // CROP_SIZE)
            crop = crop_centre(picture.image)
        with self.metrics.stage("infer", record):
            return Recognized(self.recognizer.recognize(crop[None]), [], picture.width, picture.height)

    def _recognize_faces(self, read: Callable[[], bytes], record: PictureRecord) -> Recognized:
        with self.metrics.stage("decode", record):
            file = self._open(read, record)
            picture = file.decode(shrink=max(file.size) // self.detector.metadata.long_side)
        with self.metrics.stage("locate", record):
            faces = self.detector.detect(picture.image)[: self._settings.max_faces]
            if not faces:
                raise NoFace
            faces = [face.scaled(picture.shrink) for face in faces]
            crops = _cut(file, picture, faces)
        with self.metrics.stage("infer", record):
            return Recognized(self.recognizer.recognize(crops), faces, picture.width, picture.height)

    def _open(self, read: Callable[[], bytes], record: PictureRecord) -> PictureFile:
        data = read()
        record.bytes = len(data)
        file = PictureFile(data, max_bytes=self._settings.max_bytes, max_pixels=self._settings.max_pixels)
        record.width, record.height = file.size
        return file


@contextmanager
def _outcome(record: PictureRecord) -> Iterator[None]:
    """Let `record` learn how what is inside went wrong."""
    try:
        yield
    except asyncio.CancelledError:
        record.outcome = "cancelled"
        raise
    except Exception as error:
        record.outcome = (error if isinstance(error, ServiceError) else InternalError()).code
        raise


def _cut(file: PictureFile, picture: Picture, faces: Sequence[Face]) -> NDArray[np.uint8]:
    """The crops `[N, 250, 250, 3]` of `faces`, cut from `picture`, or from a larger one if the smallest needs it."""
    shrink = max(1, int(min(face.size for face in faces) / FACE_SIZE))
    if shrink < picture.shrink:
        picture = file.decode(shrink=shrink)
    return np.stack([crop_face(picture.image, face.scaled(1 / picture.shrink)) for face in faces])
