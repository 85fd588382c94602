"""The endpoints."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from facerec.inference.results import PictureResult
from facerec.pictures.errors import ContentError, UrlError
from facerec.serving.disconnect import cancelled_on_disconnect
from facerec.serving.errors import (
    InternalError,
    InvalidModelOutput,
    InvalidRequest,
    NoFace,
    Overloaded,
    RequestTimeout,
    RequestTooLarge,
    ServiceError,
)
from facerec.serving.problems import Problem, openapi_responses
from facerec.serving.schemas import (
    BatchAnswer,
    BatchRequest,
    DetectorInfo,
    Health,
    LandmarkPredictorInfo,
    ModelInfo,
    People,
    Prediction,
    PredictRequest,
    Readiness,
    UploadForm,
)
from facerec.serving.service import RecognitionService
from facerec.serving.telemetry import PrometheusMetrics, RequestRecord
from facerec.serving.tracebacks import drop_tracebacks

_REQUEST_ERRORS = (InvalidRequest, RequestTimeout, RequestTooLarge, Overloaded, InternalError)
_PICTURE_ERRORS = (ContentError, NoFace, InvalidModelOutput)


async def _service(request: Request) -> RecognitionService:
    service: RecognitionService = request.state.service
    return service


async def _metrics(request: Request) -> PrometheusMetrics:
    metrics: PrometheusMetrics = request.state.metrics
    return metrics


async def _record(request: Request) -> RequestRecord:
    record: RequestRecord = request.state.record
    return record


Service = Annotated[RecognitionService, Depends(_service)]
Record = Annotated[RequestRecord, Depends(_record)]

recognition = APIRouter(tags=["recognition"])
model = APIRouter(tags=["model"])
operation = APIRouter(tags=["operation"])
health = APIRouter(tags=["operation"])


@recognition.post("/predict", responses=openapi_responses(*_REQUEST_ERRORS, *_PICTURE_ERRORS, UrlError))
async def predict(body: PredictRequest, request: Request, service: Service, record: Record) -> Prediction:
    """Name the persons in the picture at a URL."""
    async with cancelled_on_disconnect(request.receive):
        result = await service.recognize_url(body.url, body.framing, record.add_picture())
    return _prediction(result, service, body.top_k)


async def _each_field_once(request: Request) -> None:
    """Refuse a form that holds a field twice: FastAPI would read the last one alone."""
    fields = await request.form()
    for name in UploadForm.model_fields:
        if len(fields.getlist(name)) > 1:
            raise InvalidRequest(
                f"body.{name}: the form holds this field more than once; send one picture per request, or several URLs "
                "to /predict/batch"
            )


@recognition.post(
    "/predict/upload",
    responses=openapi_responses(*_REQUEST_ERRORS, *_PICTURE_ERRORS),
    dependencies=[Depends(_each_field_once)],
)
async def predict_upload(
    form: Annotated[UploadForm, Form(media_type="multipart/form-data")],
    request: Request,
    service: Service,
    record: Record,
) -> Prediction:
    """Name the persons in an uploaded picture."""
    data = await form.file.read()
    await form.file.close()  # frees the form's copy while `data` waits for its turn
    async with cancelled_on_disconnect(request.receive):
        result = await service.recognize_bytes(data, form.framing, record.add_picture())
    return _prediction(result, service, form.top_k)


@recognition.post("/predict/batch", responses=openapi_responses(*_REQUEST_ERRORS))
async def predict_batch(body: BatchRequest, request: Request, service: Service, record: Record) -> BatchAnswer:
    """Name the persons in the pictures at several URLs. Each is answered on its own: a failed one fails no other."""
    concurrency = asyncio.Semaphore(service.batch_concurrency)

    async def answer(url: str) -> Prediction | Problem:
        try:
            async with concurrency:
                result = await service.recognize_url(url, body.framing, record.add_picture())
        except ServiceError as error:
            drop_tracebacks(error)
            return Problem.of(error, record.id)
        except Exception as error:
            record.keep_exception(error)
            drop_tracebacks(error)
            return Problem.of(InternalError(), record.id)
        return _prediction(result, service, body.top_k)

    async with cancelled_on_disconnect(request.receive):
        return BatchAnswer(results=await asyncio.gather(*map(answer, body.urls)))


def _prediction(result: PictureResult, service: RecognitionService, top_k: int | None) -> Prediction:
    return Prediction.from_result(result, service.names, threshold=service.threshold, top_k=top_k)


@model.get("/people")
async def people(service: Service) -> People:
    """The people whom the model knows, with the number of images it learned each from and its recall on test images."""
    return People(people=list(service.models.recognizer.people))


@model.get("/model")
async def model_info(service: Service) -> ModelInfo:
    """The model files that are loaded."""
    models = service.models
    return ModelInfo.from_metadata(
        models.recognizer,
        checksum=models.recognizer_checksum,
        threshold=service.threshold,
        detector=DetectorInfo.from_metadata(models.detector, checksum=models.detector_checksum),
        landmarks=LandmarkPredictorInfo.from_metadata(models.landmarks, checksum=models.landmarks_checksum),
    )


@operation.get("/metrics", response_class=PlainTextResponse)
async def metrics(prometheus: Annotated[PrometheusMetrics, Depends(_metrics)]) -> PlainTextResponse:
    """Metrics for Prometheus: requests by outcome, durations of the stages, work in flight, refusals."""
    return PlainTextResponse(prometheus.exposition(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


@health.head("/healthz", include_in_schema=False)
@health.get("/healthz")
async def healthz() -> Health:
    """The process is alive."""
    return Health(status="ok")


@health.head("/readyz", include_in_schema=False)
@health.get("/readyz")
async def readyz(service: Service) -> Readiness:
    """The models are verified and warmed up."""
    return Readiness(
        status="ready",
        sha256=service.models.recognizer_checksum,
        locator_sha256=service.models.detector_checksum,
        landmarks_sha256=service.models.landmarks_checksum,
    )
