"""What the service answers at which path."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from facerec.serving.errors import (
    InternalError,
    InvalidOutput,
    InvalidRequest,
    Overloaded,
    PictureError,
    RequestTimeout,
    RequestTooLarge,
    ServiceError,
    UrlError,
)
from facerec.serving.middleware.body_limit import while_connected
from facerec.serving.pipeline import Pipeline
from facerec.serving.problems import Problem, documented
from facerec.serving.schemas import (
    BatchAnswer,
    BatchRequest,
    DetectorCard,
    Health,
    HowFramed,
    ModelCard,
    People,
    Prediction,
    PredictRequest,
    Readiness,
    TopK,
)
from facerec.serving.telemetry import RequestRecord

_REQUEST_ERRORS = (InvalidRequest, RequestTimeout, RequestTooLarge, Overloaded, InternalError)
_PICTURE_ERRORS = (PictureError, InvalidOutput)


async def _pipeline(request: Request) -> Pipeline:
    pipeline: Pipeline = request.state.pipeline
    return pipeline


async def _record(request: Request) -> RequestRecord:
    record: RequestRecord = request.state.record
    return record


Pipelined = Annotated[Pipeline, Depends(_pipeline)]
Recorded = Annotated[RequestRecord, Depends(_record)]

recognition = APIRouter(tags=["recognition"])
model = APIRouter(tags=["model"])
operation = APIRouter(tags=["operation"])
health = APIRouter(tags=["operation"])


@recognition.post("/predict", responses=documented(*_REQUEST_ERRORS, *_PICTURE_ERRORS, UrlError))
async def predict(body: PredictRequest, request: Request, pipeline: Pipelined, record: Recorded) -> Prediction:
    """Name the persons in the picture at a URL."""
    async with while_connected(request.receive):
        recognized = await pipeline.recognize_url(body.url, body.framing, record.picture())
    return Prediction.of_picture(recognized, pipeline.names, threshold=pipeline.threshold, top_k=body.top_k)


@recognition.post("/predict/upload", responses=documented(*_REQUEST_ERRORS, *_PICTURE_ERRORS))
async def predict_upload(
    *,
    file: Annotated[UploadFile, File(description="A JPEG, PNG, WebP, GIF or BMP file.")],
    request: Request,
    pipeline: Pipelined,
    record: Recorded,
    top_k: Annotated[TopK, Form()] = None,
    framing: Annotated[HowFramed, Form()] = None,
) -> Prediction:
    """Name the persons in an uploaded picture."""
    data = await file.read()
    await file.close()  # its copy need not wait with `data`
    async with while_connected(request.receive):
        recognized = await pipeline.recognize_bytes(data, framing, record.picture())
    return Prediction.of_picture(recognized, pipeline.names, threshold=pipeline.threshold, top_k=top_k)


@recognition.post("/predict/batch", responses=documented(*_REQUEST_ERRORS))
async def predict_batch(body: BatchRequest, request: Request, pipeline: Pipelined, record: Recorded) -> BatchAnswer:
    """Name the persons in the pictures at several URLs. Each is answered on its own: a failed one fails no other."""
    turns = asyncio.Semaphore(pipeline.batch_width)

    async def answer(url: str) -> Prediction | Problem:
        try:
            async with turns:
                recognized = await pipeline.recognize_url(url, body.framing, record.picture())
        except ServiceError as error:
            return Problem.of(error, record.id)
        except Exception as error:
            record.unexpected(error)
            return Problem.of(InternalError(), record.id)
        return Prediction.of_picture(recognized, pipeline.names, threshold=pipeline.threshold, top_k=body.top_k)

    async with while_connected(request.receive):
        return BatchAnswer(results=await asyncio.gather(*map(answer, body.urls)))


@model.get("/people")
async def people(pipeline: Pipelined) -> People:
    """The people whom the model knows, with the number of images it learned each from and its recall on test images."""
    return People(people=list(pipeline.recognizer.metadata.people))


@model.get("/model")
async def model_card(pipeline: Pipelined) -> ModelCard:
    """The model files that are loaded."""
    recognizer, detector = pipeline.recognizer, pipeline.detector
    return ModelCard.of(
        recognizer.metadata,
        checksum=recognizer.checksum,
        threshold=pipeline.threshold,
        detector=DetectorCard.of(detector.metadata, checksum=detector.checksum),
    )


@operation.get("/metrics", response_class=PlainTextResponse)
async def metrics(pipeline: Pipelined) -> PlainTextResponse:
    """Metrics for Prometheus: requests by outcome, durations of the stages, work in flight, refusals."""
    return PlainTextResponse(pipeline.metrics.exposition(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


@health.head("/healthz", include_in_schema=False)
@health.get("/healthz")
async def healthz() -> Health:
    """The process is alive."""
    return Health(status="ok")


@health.head("/readyz", include_in_schema=False)
@health.get("/readyz")
async def readyz(pipeline: Pipelined) -> Readiness:
    """The models are verified and warmed up."""
    return Readiness(status="ready", sha256=pipeline.recognizer.checksum, locator_sha256=pipeline.detector.checksum)
