"""What the endpoints ask FastAPI for: the parts of the application, and the record of the request."""

from typing import Annotated

from fastapi import Depends, Request

from facerec.serving.people_service import PeopleService
from facerec.serving.service import RecognitionService
from facerec.serving.telemetry import PrometheusMetrics, RequestRecord


async def _service(request: Request) -> RecognitionService:
    service: RecognitionService = request.state.service
    return service


async def _people(request: Request) -> PeopleService:
    people: PeopleService = request.state.people
    return people


async def _metrics(request: Request) -> PrometheusMetrics:
    metrics: PrometheusMetrics = request.state.metrics
    return metrics


async def _record(request: Request) -> RequestRecord:
    record: RequestRecord = request.state.record
    return record


Service = Annotated[RecognitionService, Depends(_service)]
People = Annotated[PeopleService, Depends(_people)]
Metrics = Annotated[PrometheusMetrics, Depends(_metrics)]
Record = Annotated[RequestRecord, Depends(_record)]
