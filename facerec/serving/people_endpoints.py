"""The endpoints about people: who is known, who is enrolled, and whether two faces are the same person's."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Depends, Request, status

from facerec.inference.results import PictureResult
from facerec.people.errors import (
    AlreadyEnrolled,
    NameNotAllowed,
    NameTaken,
    SampleRefused,
    StoreError,
    UnknownPerson,
    UnknownSample,
)
from facerec.people.names import canonical_name
from facerec.pictures.errors import ContentError, UrlError
from facerec.serving.bodies import described, json_or_form
from facerec.serving.dependencies import People, Record, Service
from facerec.serving.disconnect import cancelled_on_disconnect
from facerec.serving.errors import (
    InternalError,
    InvalidModelOutput,
    InvalidRequest,
    NoFace,
    Overloaded,
    PicturesRefused,
    RequestTimeout,
    RequestTooLarge,
    ServiceError,
)
from facerec.serving.people_schemas import (
    EmbeddedFace,
    Embeddings,
    EmbeddingsForm,
    EmbeddingsRequest,
    EnrolledPerson,
    KnownPeople,
    KnownPerson,
    PersonChange,
    PersonForm,
    PersonRequest,
    SampleChange,
    SamplesForm,
    SamplesRequest,
    Verification,
    VerifyForm,
    VerifyRequest,
    stored_box,
)
from facerec.serving.problems import openapi_responses
from facerec.serving.schemas import clipped_box, place, points
from facerec.serving.service import RecognitionService, recognize_all
from facerec.serving.telemetry import RequestRecord

_REQUEST_ERRORS = (InvalidRequest, Overloaded, InternalError)
_BODY_ERRORS = (*_REQUEST_ERRORS, RequestTimeout, RequestTooLarge)
_PICTURE_ERRORS = (ContentError, UrlError, InvalidModelOutput)
_ENROLMENT_ERRORS = (*_BODY_ERRORS, *_PICTURE_ERRORS, SampleRefused, PicturesRefused, AlreadyEnrolled, StoreError)

comparison = APIRouter(tags=["recognition"])
known = APIRouter(tags=["people"])
enrolment = APIRouter(tags=["people"])
"""The endpoints that change the gallery."""


@known.get("/people", responses=openapi_responses(InternalError))
def known_people(service: Service, people: People) -> KnownPeople:
    """Everybody who is known: the people of the model's file first, then the others by name."""
    shipped = {canonical_name(person.name): person for person in service.models.recognizer.people}
    everybody = people.snapshot.people
    return KnownPeople(people=[KnownPerson.of(each, shipped.get(each.name)) for each in everybody])


@known.get("/people/{person_id}", responses=openapi_responses(*_REQUEST_ERRORS, UnknownPerson, StoreError))
async def enrolled_person(person_id: UUID, people: People) -> EnrolledPerson:
    """An enrolled person with all samples."""
    return EnrolledPerson.of(await people.person(person_id))


@enrolment.post(
    "/people",
    status_code=status.HTTP_201_CREATED,
    responses=openapi_responses(*_ENROLMENT_ERRORS, NameNotAllowed, NameTaken),
    openapi_extra=described(PersonRequest, PersonForm),
)
async def add_person(
    body: Annotated[PersonRequest | PersonForm, Depends(json_or_form(PersonRequest, PersonForm))],
    request: Request,
    service: Service,
    people: People,
    record: Record,
) -> EnrolledPerson:
    """Enrol a person with 1 to 20 pictures. Those that are not good enough are listed in `refused`."""
    name = canonical_name(body.name)
    pictures = await _recognize_samples(body, request, service, record)
    enrolled = await people.enrol(name, pictures, box=stored_box(body.box), force=body.force)
    return EnrolledPerson.of_enrolment(enrolled)


@enrolment.post(
    "/people/{person_id}/samples",
    status_code=status.HTTP_201_CREATED,
    responses=openapi_responses(*_ENROLMENT_ERRORS, UnknownPerson),
    openapi_extra=described(SamplesRequest, SamplesForm),
)
async def add_samples(
    *,
    person_id: UUID,
    body: Annotated[SamplesRequest | SamplesForm, Depends(json_or_form(SamplesRequest, SamplesForm))],
    request: Request,
    service: Service,
    people: People,
    record: Record,
) -> EnrolledPerson:
    """Add 1 to 20 pictures to a person. Those that are not good enough are listed in `refused`."""
    await people.person(person_id)  # before pictures are recognized for nobody
    pictures = await _recognize_samples(body, request, service, record)
    enrolled = await people.enrol(person_id, pictures, box=stored_box(body.box), force=body.force)
    return EnrolledPerson.of_enrolment(enrolled)


async def _recognize_samples(
    body: SamplesRequest | SamplesForm, request: Request, service: RecognitionService, record: RequestRecord
) -> Sequence[PictureResult | ServiceError]:
    """The faces in each of the pictures to enrol, or why there are none."""
    if body.box and len(body.pictures) > 1:
        raise InvalidRequest("body.box: a box says whose face is meant in a single picture; send one picture with it.")
    async with cancelled_on_disconnect(request.receive):
        return await recognize_all(service, body.pictures, "auto", record)


@enrolment.patch(
    "/people/{person_id}",
    responses=openapi_responses(*_BODY_ERRORS, UnknownPerson, NameNotAllowed, NameTaken, StoreError),
)
async def rename_person(person_id: UUID, body: PersonChange, people: People) -> EnrolledPerson:
    """Rename a person, or with `merge` give all samples to the person who has the name, who is the answer then."""
    return EnrolledPerson.of(await people.rename(person_id, body.name, merge=body.merge))


@enrolment.delete(
    "/people/{person_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=openapi_responses(*_REQUEST_ERRORS, UnknownPerson, StoreError),
)
async def delete_person(person_id: UUID, people: People) -> None:
    """Delete a person with all samples."""
    await people.delete_person(person_id)


@enrolment.patch(
    "/people/{person_id}/samples/{sample_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=openapi_responses(*_BODY_ERRORS, UnknownPerson, UnknownSample, AlreadyEnrolled, StoreError),
)
async def move_sample(person_id: UUID, sample_id: UUID, body: SampleChange, people: People) -> None:
    """Move a sample to another person. With the last sample, the person whose it was is deleted."""
    await people.move_sample(person_id, sample_id, body.person)


@enrolment.delete(
    "/people/{person_id}/samples/{sample_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=openapi_responses(*_REQUEST_ERRORS, UnknownPerson, UnknownSample, StoreError),
)
async def remove_sample(person_id: UUID, sample_id: UUID, people: People) -> None:
    """Delete a sample. With the last one the person is deleted."""
    await people.remove_sample(person_id, sample_id)


@comparison.post(
    "/verify",
    responses=openapi_responses(*_BODY_ERRORS, *_PICTURE_ERRORS, NoFace, UnknownPerson),
    openapi_extra=described(VerifyRequest, VerifyForm),
)
async def verify(
    body: Annotated[VerifyRequest | VerifyForm, Depends(json_or_form(VerifyRequest, VerifyForm))],
    request: Request,
    service: Service,
    people: People,
    record: Record,
) -> Verification:
    """Tell whether two faces are the same person's: those of two pictures, or of a picture and an enrolled person."""
    if (body.second is None) == (body.person is None):
        raise InvalidRequest("Send either `second`, another picture, or `person`, the id of an enrolled person.")
    pictures = [body.first] if body.second is None else [body.first, body.second]
    enrolled = people.template(body.person) if body.person else None
    async with cancelled_on_disconnect(request.receive):
        results = [_successful(each) for each in await recognize_all(service, pictures, "auto", record)]
    embeddings = [result.embeddings[0] for result in results if result.embeddings is not None]
    other, samples = enrolled or (embeddings[1], 1)
    similarity = round(float(np.dot(embeddings[0], other)), 6)
    threshold = people.verification_threshold(samples)
    return Verification(
        similarity=similarity,
        threshold=threshold,
        same_person=similarity >= threshold,
        false_accept_rate=people.false_accept_rate,
        boxes=[clipped_box(result, result.faces[0]) for result in results],
    )


def _successful(result: PictureResult | ServiceError) -> PictureResult:
    if isinstance(result, ServiceError):
        raise result
    return result


@comparison.post(
    "/embeddings",
    responses=openapi_responses(*_BODY_ERRORS, *_PICTURE_ERRORS, NoFace),
    openapi_extra=described(EmbeddingsRequest, EmbeddingsForm),
)
async def embeddings(
    body: Annotated[EmbeddingsRequest | EmbeddingsForm, Depends(json_or_form(EmbeddingsRequest, EmbeddingsForm))],
    request: Request,
    service: Service,
    people: People,
    record: Record,
) -> Embeddings:
    """Give the embedding of each face in a picture, for programs that compare faces themselves."""
    picture = body.url if isinstance(body, EmbeddingsRequest) else body.file
    async with cancelled_on_disconnect(request.receive):
        result = await service.recognize(picture, "auto", record.add_picture())
    assert result.embeddings is not None
    faces = [
        EmbeddedFace(landmarks=points(landmarks), embedding=embedding.tolist(), **place(result, face))
        for face, landmarks, embedding in zip(result.faces, result.landmarks, result.embeddings, strict=True)
    ]
    return Embeddings(embedding_id=people.embedding.id, faces=faces)
