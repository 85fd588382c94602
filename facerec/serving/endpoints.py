"""The endpoints."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from facerec.inference.results import PictureResult
from facerec.pictures.errors import ContentError, UrlError
from facerec.serving.dependencies import Metrics, People, Record, Service
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
from facerec.serving.people_service import PeopleService
from facerec.serving.problems import Problem, openapi_responses
from facerec.serving.schemas import (
    BatchAnswer,
    BatchRequest,
    DetectorInfo,
    Health,
    LandmarkPredictorInfo,
    ModelInfo,
    Prediction,
    PredictRequest,
    Readiness,
    UploadForm,
)
from facerec.serving.service import recognize_all

_REQUEST_ERRORS = (InvalidRequest, RequestTimeout, RequestTooLarge, Overloaded, InternalError)
_PICTURE_ERRORS = (ContentError, NoFace, InvalidModelOutput)


recognition = APIRouter(tags=["recognition"])
model = APIRouter(tags=["model"])
operation = APIRouter(tags=["operation"])
health = APIRouter(tags=["operation"])


@recognition.post("/predict", responses=openapi_responses(*_REQUEST_ERRORS, *_PICTURE_ERRORS, UrlError))
async def predict(
    body: PredictRequest, request: Request, service: Service, people: People, record: Record
) -> Prediction:
    """Name the persons in the picture at a URL."""
    async with cancelled_on_disconnect(request.receive):
        result = await service.recognize(body.url, body.framing, record.add_picture(), preview=body.picture)
    return _prediction(result, people, body.top_k)


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
    people: People,
    record: Record,
) -> Prediction:
    """Name the persons in an uploaded picture."""
    data = await form.file.read()
    await form.file.close()  # frees the form's copy while `data` waits for its turn
    async with cancelled_on_disconnect(request.receive):
        result = await service.recognize(data, form.framing, record.add_picture(), preview=form.picture)
    return _prediction(result, people, form.top_k)


@recognition.post("/predict/batch", responses=openapi_responses(*_REQUEST_ERRORS))
async def predict_batch(
    body: BatchRequest, request: Request, service: Service, people: People, record: Record
) -> BatchAnswer:
    """Name the persons in the pictures at several URLs. Each is answered on its own: a failed one fails no other."""
    async with cancelled_on_disconnect(request.receive):
        results = await recognize_all(service, body.urls, body.framing, record)
    return BatchAnswer(
        results=[
            Problem.of(each, record.id) if isinstance(each, ServiceError) else _prediction(each, people, body.top_k)
            for each in results
        ]
    )


def _prediction(result: PictureResult, people: PeopleService, top_k: int | None) -> Prediction:
    return Prediction.from_result(result, people.identify(result, top_k=top_k))


@model.get("/model")
async def model_info(service: Service, people: People) -> ModelInfo:
    """The model files that are loaded."""
    models = service.models
    return ModelInfo.from_metadata(
        models.recognizer,
        checksum=models.recognizer_checksum,
        threshold=people.threshold,
        detector=DetectorInfo.from_metadata(models.detector, checksum=models.detector_checksum),
        landmarks=LandmarkPredictorInfo.from_metadata(models.landmarks, checksum=models.landmarks_checksum),
    )


@operation.get("/metrics", response_class=PlainTextResponse)
async def metrics(prometheus: Metrics) -> PlainTextResponse:
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
