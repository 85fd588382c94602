"""Clients that close the connection before their answer is complete."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.types import Receive


class ClientGone(Exception):
    """The client has closed the connection, or does not receive its answer."""


@contextlib.asynccontextmanager
async def cancelled_on_disconnect(receive: Receive) -> AsyncIterator[None]:
    """Cancel the block when the client closes the connection. The request body must already have been read.

    Raises:
        ClientGone: the client has closed the connection.
    """
    timeout = asyncio.timeout(None)

    async def watch() -> None:
        await receive()  # after the body, the only message is http.disconnect
        timeout.reschedule(0)

    try:
        async with timeout:
            watcher = asyncio.create_task(watch())
            try:
                yield
            finally:
                watcher.cancel()
    except TimeoutError:
        if timeout.expired():
            raise ClientGone from None
        raise
