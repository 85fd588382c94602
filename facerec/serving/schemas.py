"""The bodies of requests and answers, with examples that work."""

import math
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import UploadFile
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from facerec.inference.alignment import Landmarks
from facerec.inference.cropping import Face, Turn
from facerec.inference.model_file import (
    Backbone,
    DetectorMetadata,
    Fraction,
    LandmarkMetadata,
    RecognizerMetadata,
)
from facerec.inference.results import PictureResult
from facerec.people import identification
from facerec.serving.problems import Problem
from facerec.serving.settings import Framing

MAX_BATCH_URLS = 16

_EXAMPLE_URL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAgMAAABinRfyAAAACVBMVEX68NxaMijmtIzJCZK8AAAARElEQVR42k3MoQ2A"
    "MBAAwMtT0aAYoRrWYSBGQZIqRuoIyCYgEBjMyQOMu1CyZGOI1RKZEq5HmJLAn36fjVoxH0LrX/QCYMALliOaJ+AAAAAASUVORK5CYII="
)
"""A drawn face as a `data:` URL, small enough for the documentation."""

Url = Annotated[
    str,
    Field(
        description="Where the picture is: an http(s) URL on a public host, or the picture itself as a data: URL.",
        examples=[_EXAMPLE_URL],
    ),
]
TopK = Annotated[
    int | None,
    Field(ge=1, description="How many of the most similar people to list: 50 by default, at most 200.", examples=[5]),
]
FramingChoice = Annotated[
    Framing | None,
    Field(
        description="`auto` recognizes each face that is found; `centre` looks for none and takes the central square, "
        "for a picture that is already cropped to a face. Default: the service's FACEREC_FRAMING.",
        examples=["centre"],
    ),
]
PictureWanted = Annotated[
    bool, Field(description="Whether the answer holds the picture as it was read, to be shown. It is not kept.")
]


class PredictRequest(BaseModel):
    """One picture by URL."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Url
    top_k: TopK = None
    framing: FramingChoice = None
    picture: PictureWanted = False


class UploadForm(BaseModel):
    """One picture as a file."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="A JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF file.")
    top_k: TopK = None
    framing: FramingChoice = None
    picture: PictureWanted = False

    @model_validator(mode="before")
    @classmethod
    def _check_file(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Say how to send the file, where pydantic would only say that it is missing or no file."""
        if isinstance(fields.get("file"), str):
            raise PydanticCustomError(
                "file_expected", "`file` has no file name: send a file, as `curl -F file=@photo.jpg` does"
            )
        if "file" not in fields:
            raise PydanticCustomError(
                "file_missing",
                "there is no file: send the picture as the field `file` of a multipart/form-data form, as "
                "`curl -F file=@photo.jpg` does",
            )
        return fields


class BatchRequest(BaseModel):
    """Several pictures by URL."""

    model_config = ConfigDict(extra="forbid", strict=True)

    urls: Annotated[list[Url], Field(min_length=1, max_length=MAX_BATCH_URLS, examples=[[_EXAMPLE_URL, _EXAMPLE_URL]])]
    top_k: TopK = None
    framing: FramingChoice = None


Points = Annotated[list[tuple[float, float]], Field(min_length=5, max_length=5)]
"""Five points of a face, in the order of `facerec.inference.alignment.Landmarks`."""


FaceBox = Annotated[
    tuple[int, int, int, int],
    Field(
        description="Left, top, width and height of the face in pixels of the picture, which its EXIF orientation sets "
        "upright, clipped to it.",
        examples=[[84, 52, 113, 113]],
    ),
]


class Identification(BaseModel):
    """Whose face it is, and where its eyes and nose are."""

    identity: str | None = Field(
        description="The answer to act on: the most similar person, or null where the similarity is under the "
        "threshold, because this is nobody who is known.",
        examples=["Serena Williams"],
    )
    person_id: UUID | None = Field(description="Id of the person of `identity` if enrolled, else null.")
    similarity: float | None = Field(
        description="Cosine similarity to `top_class`, -1 to 1. Null if nobody is known.", examples=[0.979]
    )
    threshold: float = Field(
        description="The similarity below which a face belongs to nobody who is known.", examples=[0.964]
    )
    top_class: str | None = Field(
        description="The most similar of the known people. Null if there are none.", examples=["Serena Williams"]
    )
    top_score: float | None = Field(
        description="The probability of `top_class`, assuming that the face is one of the known people's.",
        examples=[1.0],
    )
    predictions: dict[str, float] = Field(
        description="The probabilities of the most similar people, largest first. Those of all people sum to 1.",
        examples=[{"Serena Williams": 1.0, "Kofi Annan": 0.0}],
    )
    landmarks: Points | None = Field(
        description="Five points of the face, each [x, y] in pixels of the picture: outer and inner corner of the "
        "person's left eye, outer and inner corner of the right eye, base of the nose. Null where the points found "
        "cannot be a face's: the face is then cropped by its box, with `centre` by the central square.",
        examples=[[[171.2, 89.9], [155.4, 91.3], [109.6, 92.8], [125.1, 92.9], [140.3, 119.5]]],
    )

    @classmethod
    def of(cls, found: identification.Identification, landmarks: Landmarks | None) -> Self:
        """The answer for one crop."""
        predictions = {each.person.name: round(each.probability, 6) for each in found.candidates}
        first = found.candidates[0] if found.candidates else None
        return cls(
            identity=found.person.name if found.person else None,
            person_id=found.person.id if found.person else None,
            similarity=round(first.similarity, 6) if first else None,
            threshold=found.threshold,
            top_class=first.person.name if first else None,
            top_score=round(first.probability, 6) if first else None,
            predictions=predictions,
            landmarks=points(landmarks),
        )


class DetectedFace(Identification):
    """One of the faces in the picture."""

    box: FaceBox
    angle: float = Field(description="Degrees by which the face is turned clockwise.", examples=[-4.2])
    score: float = Field(description="The detector's confidence that this is a face, 0 to 1.", examples=[0.93])


class Prediction(Identification):
    """Who is in the picture: the most prominent face, or the central square, and all detected faces."""

    faces: list[DetectedFace] = Field(description="The detected faces, the most prominent first; empty with `centre`.")
    faces_found: int = Field(
        description="How many faces were detected. `faces` holds at most FACEREC_MAX_FACES of them.", examples=[1]
    )
    sha256: str = Field(description="Checksum of the picture's file, as the samples of enrolled people have it.")
    width: int = Field(description="Pixels of the picture, which its EXIF orientation sets upright.", examples=[1280])
    height: int = Field(description="Likewise.", examples=[853])
    picture: str | None = Field(
        description="Where the request asks for it: the upright picture as it was read, a data: URL of a JPEG of at "
        "most 1,600 pixels a side, without metadata. Else null."
    )
    turned: Turn = Field(
        description="Degrees by which the picture is turned clockwise, so that the people in it lie on their side or "
        "stand upside down. Boxes and landmarks are places in the picture as it is."
    )

    @classmethod
    def from_result(cls, result: PictureResult, found: list[identification.Identification]) -> Self:
        """The answer for a picture in which a face was found or whose centre was taken. `found` is whose faces."""
        crops = [Identification.of(each, landmarks) for each, landmarks in zip(found, result.landmarks, strict=True)]
        faces = [
            DetectedFace(**vars(crop), **place(result, face)) for crop, face in zip(crops, result.faces, strict=False)
        ]
        return cls(
            **vars(crops[0]),
            faces=faces,
            faces_found=result.faces_found,
            sha256=result.sha256,
            width=result.width,
            height=result.height,
            picture=result.preview,
            turned=result.turned,
        )


def points(landmarks: Landmarks | None) -> Any:
    """The points of a face, rounded."""
    return None if landmarks is None else landmarks.round(1).tolist()


def place(result: PictureResult, face: Face) -> dict[str, Any]:
    """Where a face is, in the fields of `DetectedFace`."""
    return {
        "box": clipped_box(result, face),
        "angle": round(math.degrees(face.angle), 1),
        "score": round(face.score, 4),
    }


def clipped_box(result: PictureResult, face: Face) -> tuple[int, int, int, int]:
    """The `FaceBox` of a face."""
    return face.box(result.width, result.height)


class BatchAnswer(BaseModel):
    """The answers to a batch."""

    results: list[Prediction | Problem] = Field(
        description="In the order of the URLs: a prediction, or the problem that this URL had."
    )


class DetectorInfo(BaseModel):
    """The model that finds the faces."""

    version: str = Field(description="Version of the project that made the file.", examples=["0.1.0"])
    created: AwareDatetime = Field(description="When the file was made.")
    sha256: str = Field(description="Checksum of the file.")
    threshold: Fraction = Field(description="The score below which a detection is dropped.")
    figures: dict[str, float] = Field(
        description="Test metrics, on a scale of 0 to 1; `angle_error` is in degrees, `size_error` the absolute "
        "logarithm of the ratio to the true size, `milliseconds` the time that a small picture takes.",
        examples=[{"recall": 0.98}],
    )
    licence: str = Field(description="What the weights were trained from, and the licence that they carry.")

    @classmethod
    def from_metadata(cls, metadata: DetectorMetadata, *, checksum: str) -> Self:
        return cls(
            sha256=checksum,
            figures=metadata.metrics,
            **metadata.model_dump(include={"version", "created", "threshold", "licence"}),
        )


class LandmarkPredictorInfo(BaseModel):
    """The model that finds the points of a face."""

    version: str = Field(description="Version of the project that made the file.", examples=["0.1.0"])
    created: AwareDatetime = Field(description="When the file was made.")
    sha256: str = Field(description="Checksum of the file.")
    figures: dict[str, float] = Field(
        description="Test metrics. Errors are distances between points, as fractions of the distance between the "
        "middles of the eyes; `milliseconds` is the time of a face, and names with `not_found` are numbers of faces.",
        examples=[{"test_mean": 0.03}],
    )
    licence: str = Field(description="What the weights were trained from, and the licence that they carry.")

    @classmethod
    def from_metadata(cls, metadata: LandmarkMetadata, *, checksum: str) -> Self:
        return cls(
            sha256=checksum,
            figures=metadata.metrics,
            **metadata.model_dump(include={"version", "created", "licence"}),
        )


class ModelInfo(BaseModel):
    """The models that are loaded: those that know people, find their faces, and find the points of a face."""

    version: str = Field(description="Version of the project that made the file.", examples=["0.1.0"])
    created: AwareDatetime = Field(description="When the file was made.")
    sha256: str = Field(description="Checksum of the file.")
    backbone: Backbone = Field(description="The network that it is made of.")
    aligned: bool = Field(
        description="Whether faces are aligned by their landmarks before they are recognized, or cropped by their box."
    )
    people: int = Field(description="How many people it knows.", examples=[62])
    embedding_size: int = Field(description="Length of the embeddings.", examples=[128])
    threshold: float = Field(description="The similarity in force below which a face belongs to nobody who is known.")
    calibrated_threshold: float = Field(description="The threshold that training found.")
    false_accept_rate: Fraction = Field(description="Fraction of unknown people whom `calibrated_threshold` lets pass.")
    temperature: float = Field(description="Of the softmax that turns similarities into probabilities.")
    figures: dict[str, float] = Field(description="Test metrics, on a scale of 0 to 1.", examples=[{"top_1": 0.98}])
    licence: str = Field(description="What the weights were trained from, and the licence that they carry.")
    locator: DetectorInfo
    landmarks: LandmarkPredictorInfo

    @classmethod
    def from_metadata(
        cls,
        metadata: RecognizerMetadata,
        *,
        checksum: str,
        threshold: float,
        detector: DetectorInfo,
        landmarks: LandmarkPredictorInfo,
    ) -> Self:
        """The answer of `GET /model`. `threshold` is the one in force."""
        return cls(
            sha256=checksum,
            aligned=metadata.alignment is not None,
            people=len(metadata.people),
            threshold=threshold,
            calibrated_threshold=metadata.threshold,
            figures=metadata.metrics,
            locator=detector,
            landmarks=landmarks,
            **metadata.model_dump(
                include={
                    *("version", "created", "backbone", "embedding_size"),
                    *("false_accept_rate", "temperature", "licence"),
                }
            ),
        )


class Health(BaseModel):
    """The process is alive."""

    status: str = Field(examples=["ok"])


class Readiness(BaseModel):
    """The models are verified and warm."""

    status: str = Field(examples=["ready"])
    sha256: str = Field(description="Checksum of the loaded model file.")
    locator_sha256: str = Field(description="Checksum of the loaded face detector's file.")
    landmarks_sha256: str = Field(description="Checksum of the loaded landmark predictor's file.")
