"""Read the pictures of an archive ahead of the workers, with bounded memory."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from facerec.labelling.found import FoundPicture, ReadPicture
from facerec.labelling.local_files import is_local, read_local
from facerec.labelling.sources import is_url
from facerec.labelling.storage import read_stored
from facerec.pictures.bounded_pool import Slots
from facerec.pictures.errors import FetchTimeout, PoolFull
from facerec.pictures.fetch import Fetcher, FetchLimits


class PictureReader:
    """Reads pictures from files, storages and URLs.

    URLs go through the service's own fetcher: a list of URLs may come from strangers and must not reach into the
    internal network. `FetchLimits.allowed_networks` opens a network that is meant.

    Args:
        limits: what may be fetched. `max_bytes` is the limit of files too.
        concurrency: pictures that are read at the same time.
    """

    def __init__(self, limits: FetchLimits, *, concurrency: int) -> None:
        self._max_bytes = limits.max_bytes
        self._fetcher = Fetcher(limits, slots=Slots("fetch", concurrency))
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="read")

    async def read(self, picture: FoundPicture) -> ReadPicture:
        """The content of a picture.

        Raises:
            PictureFailed: it can't be read.
            PictureError: it can't be fetched, or is too large.
        """
        if is_url(picture.path):
            try:
                data = await self._fetcher.fetch(picture.path)
            except PoolFull:  # look-ups that go on after their fetches have timed out
                raise FetchTimeout from None
            return ReadPicture(picture._replace(bytes=len(data)), data)
        loop = asyncio.get_running_loop()
        if is_local(picture.path):
            return await loop.run_in_executor(self._threads, read_local, picture.path, self._max_bytes)
        return await loop.run_in_executor(self._threads, read_stored, picture, self._max_bytes)

    def close(self) -> None:
        """Start no more reads."""
        self._fetcher.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class ByteBudget:
    """Limits the bytes of pictures in memory. A picture larger than the whole budget has it alone.

    Args:
        total: bytes.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._held = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold `size` bytes of the budget during the block, as soon as they are free."""
        size = min(size, self._total)
        async with self._freed:
            await self._freed.wait_for(lambda: self._held + size <= self._total)
            self._held += size
        try:
            yield
        finally:
            self._held -= size
            async with self._freed:
                self._freed.notify_all()
