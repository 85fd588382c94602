"""The FastAPI application."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.middleware.cors import CORSMiddleware

from facerec import __version__
from facerec.inference.memory import limit_freed_memory
from facerec.inference.worker_pool import WorkerPool
from facerec.people.model_choice import recognizer_of_gallery
from facerec.pictures.bounded_pool import Slots
from facerec.pictures.fetch import Fetcher, FetchLimits, Resolve, resolve_host
from facerec.serving.api_docs import add_docs
from facerec.serving.auth import BearerAuth
from facerec.serving.endpoints import health, model, operation, recognition
from facerec.serving.errors import KeyRequiredToEnrol, Unauthorized
from facerec.serving.middleware.body_limit import BodyLimitMiddleware
from facerec.serving.middleware.problem_details import ProblemDetailsMiddleware
from facerec.serving.middleware.request_log import RequestLogMiddleware
from facerec.serving.middleware.unread_parts import UnreadPartsMiddleware
from facerec.serving.page import page_router
from facerec.serving.people_endpoints import comparison, enrolment, known
from facerec.serving.people_service import PeopleService, gallery_errors_explained
from facerec.serving.problems import openapi_responses, raise_invalid_request, raise_service_error
from facerec.serving.service import RecognitionService
from facerec.serving.settings import SHIPPED_RECOGNIZERS, Settings
from facerec.serving.telemetry import PrometheusMetrics

_DESCRIPTION = """Names the people whom it knows in pictures, and says when it does not know someone.

Errors are problem details (RFC 9457) with a stable `code`. Every answer has an `X-Request-ID`."""


def create_app(
    settings: Settings,
    *,
    write_log: Callable[[str], None],
    resolve: Resolve = resolve_host,
) -> FastAPI:
    """Create the application.

    Args:
        settings: the operator's settings.
        write_log: takes the JSON line of each request, at once.
        resolve: finds the addresses of a host.
    """
    auth = BearerAuth(settings.api_key)
    metrics = PrometheusMetrics()
    # Request bodies stay in memory, so that no file is written. This class attribute applies to the whole process.
    MultiPartParser.spool_max_size = settings.max_body_bytes

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        # RequestLogMiddleware writes the log. uvicorn's own would repeat the requests' queries, which may hold secrets.
        logging.getLogger("uvicorn.access").disabled = True
        limit_freed_memory(block_bytes=2**20, total_bytes=16 * 2**20)  # a body is returned once it was answered
        with gallery_errors_explained(settings):
            recognizer = settings.model or (
                recognizer_of_gallery(settings.gallery, SHIPPED_RECOGNIZERS.values()) or SHIPPED_RECOGNIZERS["default"]
            )
        workers = WorkerPool(
            settings.worker_options(recognizer), workers=settings.workers, queue_size=settings.max_waiting
        )
        limits = FetchLimits(
            deadline=settings.deadline,
            max_bytes=settings.max_bytes,
            max_redirects=settings.max_redirects,
            allowed_ports=settings.allowed_ports,
            allowed_networks=settings.allowed_networks,
        )
        fetch_slots = Slots("fetch", settings.max_fetches)
        fetcher = Fetcher(
            limits, slots=fetch_slots, resolve=resolve, ca_file=settings.ca_file, contact=settings.contact
        )
        for slots in (fetch_slots, fetcher.look_ups.slots, workers.slots):
            metrics.watch(slots)
        metrics.watch_replaced(lambda: workers.replaced)
        try:
            models = await workers.start()
            service = RecognitionService(settings, models=models, workers=workers, fetcher=fetcher)
            with gallery_errors_explained(settings):
                people = PeopleService(settings, models)
            metrics.watch(people.slots)
            with closing(people):
                async with people.following(write_log):
                    yield {"service": service, "people": people, "metrics": metrics}
        finally:
            fetcher.close()
            workers.close()

    app = FastAPI(
        title="Face recognition",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # `add_docs` adds it
        redoc_url=None,
        # Redirects would lead to the host that the client names, and to http behind a proxy that terminates TLS.
        redirect_slashes=False,
    )
    app.add_exception_handler(RequestValidationError, raise_invalid_request)
    app.add_exception_handler(HTTPException, raise_service_error)
    app.add_middleware(
        BodyLimitMiddleware,
        check=auth.check,
        max_bytes=settings.max_body_bytes,
        seconds=settings.body_seconds,
        max_bodies=settings.max_bodies,
    )
    app.add_middleware(UnreadPartsMiddleware)
    app.add_middleware(ProblemDetailsMiddleware)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["DELETE", "GET", "HEAD", "PATCH", "POST"],
            allow_headers=["Authorization", "X-Request-ID"],
            expose_headers=["Retry-After", "Server-Timing", "X-Request-ID"],
        )
    app.add_middleware(RequestLogMiddleware, metrics=metrics, write=write_log)
    protected: dict[str, Any] = {}
    changing: dict[str, Any] = {
        "dependencies": [Depends(_refuse_without_a_key)],
        "responses": openapi_responses(KeyRequiredToEnrol),
    }
    if settings.api_key:
        protected = {
            "dependencies": [Depends(HTTPBearer(auto_error=False)), Depends(_require(auth))],
            "responses": openapi_responses(Unauthorized),
        }
        changing = protected
    for router in (recognition, comparison, known, model, operation):
        app.include_router(router, **protected)
    app.include_router(enrolment, **changing)
    app.include_router(health)
    app.include_router(page_router(can_enrol=settings.api_key is not None))
    add_docs(app)
    return app


async def _refuse_without_a_key() -> None:
    """A dependency that refuses requests to a service without a key."""
    raise KeyRequiredToEnrol


def _require(auth: BearerAuth) -> Callable[[Request], Awaitable[None]]:
    """A dependency that refuses requests without the key."""

    async def check(request: Request) -> None:
        auth.check(request.headers)

    return check
