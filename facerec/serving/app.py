"""The FastAPI application."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser

from facerec import __version__
from facerec.inference.detector import FaceDetector
from facerec.inference.recognizer import Recognizer
from facerec.pictures.bounded_pool import Gate
from facerec.pictures.fetch import Fetcher, Resolve, look_up
from facerec.serving.auth import Key
from facerec.serving.endpoints import health, model, operation, recognition
from facerec.serving.errors import Unauthorized
from facerec.serving.memory import give_back_freed_memory
from facerec.serving.middleware.body_limit import Intake
from facerec.serving.middleware.request_log import Observed
from facerec.serving.page import page
from facerec.serving.pipeline import Pipeline
from facerec.serving.problems import documented, raise_invalid_request, raise_service_error
from facerec.serving.settings import Settings
from facerec.serving.telemetry import Metrics

_DESCRIPTION = """Names the people whom it knows in pictures, and says when it does not know someone.

Errors are problem details (RFC 9457) with a stable `code`. Every answer has an `X-Request-ID`."""


def create_app(
    settings: Settings,
    *,
    resolve: Resolve = look_up,
    ca_file: str | None = None,
    write_log: Callable[[str], None] = lambda line: print(line, flush=True),
) -> FastAPI:
    """The service as `settings` want it.

    `resolve` finds the addresses of a host, `ca_file` holds the certificate authorities to trust instead of the usual
    ones, `write_log` takes the JSON line of each request.
    """
    key = Key(settings.api_key)
    metrics = Metrics()
    # Bodies are in memory: no file needs to be written. It counts for all apps of the process.
    MultiPartParser.spool_max_size = settings.max_body_bytes

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        fetches = Gate("fetch", threads=settings.max_fetches)
        compute = Gate("compute", threads=settings.max_recognitions, waiting=settings.max_waiting)
        metrics.watch(fetches)
        metrics.watch(compute)
        try:
            pipeline = Pipeline(
                settings,
                recognizer=Recognizer.load(settings.model, threads=settings.threads),
                detector=FaceDetector.load(settings.detector, threads=settings.threads),
                fetcher=Fetcher(settings, fetches, resolve=resolve, ca_file=ca_file),
                compute=compute,
                metrics=metrics,
            )
            give_back_freed_memory()
            yield {"pipeline": pipeline}
        finally:
            fetches.close()
            compute.close()

    app = FastAPI(
        title="Face recognition",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,  # to the host that the caller names, and to http behind a proxy that speaks https
    )
    app.add_exception_handler(RequestValidationError, raise_invalid_request)
    app.add_exception_handler(HTTPException, raise_service_error)
    app.add_middleware(
        Intake,
        check=key.check,
        max_bytes=settings.max_body_bytes,
        seconds=settings.body_seconds,
        max_bodies=settings.max_bodies,
    )
    app.add_middleware(Observed, metrics=metrics, write=write_log)
    guard: dict[str, Any] = {}
    if settings.api_key:
        guard = {
            "dependencies": [Depends(HTTPBearer(auto_error=False)), Depends(_require(key))],
            "responses": documented(Unauthorized),
        }
    for router in (recognition, model, operation):
        app.include_router(router, **guard)
    app.include_router(health)
    app.include_router(page)
    return app


def _require(key: Key) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets only callers with `key` pass."""

    async def check(request: Request) -> None:
        key.check(request.headers)

    return check
