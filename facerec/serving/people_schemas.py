"""The bodies of requests and answers about people."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, Json

from facerec.inference.model_file import Fraction
from facerec.inference.model_file import Person as ShippedPerson
from facerec.people.gallery import Known
from facerec.people.samples import Box
from facerec.people.samples import Person as StoredPerson
from facerec.people.samples import Sample as StoredSample
from facerec.serving.people_service import Enrolment
from facerec.serving.schemas import FaceBox, Points, Url

MAX_PICTURES = 20

Name = Annotated[
    str,
    Field(
        description="Any characters that can be seen, at most 200. `_` is a space, and white space is one space.",
        examples=["Zoë Quinn"],
    ),
]
File = Annotated[bytes, Field(description="A JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF file.")]
_Pixels = Annotated[int, Field(ge=-(2**20), le=2**20)]
_Side = Annotated[int, Field(ge=1, le=2**20)]
GivenBox = Annotated[
    tuple[_Pixels, _Pixels, _Side, _Side],
    Field(
        description="Whose face is meant if the picture shows several people: left, top, width and height in pixels, "
        "such as the `box` of an answer. For a single picture.",
        examples=[[84, 52, 113, 113]],
    ),
]
Force = Annotated[
    bool, Field(description="Enrol faces that are unlike the person's others, or very like another person.")
]


class SamplesRequest(BaseModel):
    """Pictures of a person by URL."""

    model_config = ConfigDict(extra="forbid", strict=True)

    pictures: Annotated[list[Url], Field(min_length=1, max_length=MAX_PICTURES)]
    box: GivenBox | None = None
    force: Force = False


class PersonRequest(SamplesRequest):
    """A person to enrol, with pictures by URL."""

    name: Name


class SamplesForm(BaseModel):
    """Pictures of a person. Each field `pictures` is a file or a URL."""

    model_config = ConfigDict(extra="forbid", strict=True)

    pictures: Annotated[list[File | Url], Field(min_length=1, max_length=MAX_PICTURES)]
    box: Json[GivenBox] | None = None
    force: Annotated[Force, Field(strict=False)] = False


class PersonForm(SamplesForm):
    """A person to enrol. Each field `pictures` is a file or a URL."""

    name: Name


class PersonChange(BaseModel):
    """Another name for a person."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    merge: Annotated[
        bool, Field(description="Whether the two become one person if somebody who is enrolled has the name.")
    ] = False


class SampleChange(BaseModel):
    """Another person for a sample."""

    model_config = ConfigDict(extra="forbid")

    person: UUID = Field(description="Id of the person to whom the sample is moved.")


class Sample(BaseModel):
    """A face of a picture that was enrolled. The picture itself is not kept."""

    id: UUID
    quality: Fraction = Field(description="How large, sharp and straight the face is: 0 to 1.")
    created: AwareDatetime = Field(description="When it was enrolled.")
    sha256: str = Field(description="Checksum of the picture's file.")
    box: tuple[int, int, int, int] = Field(
        description="Left, top, width and height of the face in pixels. It may reach beyond the picture.",
        examples=[[84, 52, 113, 113]],
    )

    @classmethod
    def of(cls, sample: StoredSample) -> Self:
        return cls(
            id=sample.id,
            quality=sample.quality,
            created=sample.created,
            sha256=sample.picture_sha256,
            box=_sides(sample.box),
        )


class Refusal(BaseModel):
    """Why a picture gave no sample."""

    picture: int = Field(description="Index of the picture in the request, from 0.")
    code: str = Field(description="The stable name of the error.")
    detail: str


class EnrolledPerson(BaseModel):
    """An enrolled person."""

    id: UUID
    name: str
    created: AwareDatetime = Field(description="When the person was enrolled.")
    samples: list[Sample] = Field(description="The oldest first.")
    refused: list[Refusal] = Field(description="The pictures of this request that gave no sample.")

    @classmethod
    def of(cls, person: StoredPerson) -> Self:
        samples = [Sample.of(sample) for sample in person.samples]
        return cls(id=person.id, name=person.name, created=person.created, samples=samples, refused=[])

    @classmethod
    def of_enrolment(cls, enrolment: Enrolment) -> Self:
        refused = [
            Refusal(picture=index, code=error.code, detail=str(error))
            for index, error in sorted(enrolment.refused.items())
        ]
        return cls.of(enrolment.person).model_copy(update={"refused": refused})


class KnownPerson(BaseModel):
    """A person whom the service knows: enrolled, known to the model's file, or both."""

    name: str
    id: UUID | None = Field(description="Of an enrolled person. Null for one whom the model's file alone knows.")
    samples: int = Field(description="Number of enrolled samples.", examples=[5])
    shipped: bool = Field(description="Whether the model's file knows the person.")
    training_images: int | None = Field(description="Images from which the model learned the person, if shipped.")
    test_images: int | None = Field(description="Test images of the person, if shipped.")
    test_recall: Fraction | None = Field(description="Fraction of them that were named correctly, if shipped.")

    @classmethod
    def of(cls, known: Known, shipped: ShippedPerson | None) -> Self:
        measured = shipped.model_dump(exclude={"name"}) if shipped else {}
        return cls(
            name=known.name,
            id=known.id,
            samples=known.samples,
            shipped=known.shipped,
            training_images=measured.get("training_images"),
            test_images=measured.get("test_images"),
            test_recall=measured.get("test_recall"),
        )


class KnownPeople(BaseModel):
    """Whom the service knows."""

    people: list[KnownPerson]


PersonId = Annotated[UUID, Field(description="Id of an enrolled person.")]


class VerifyRequest(BaseModel):
    """Two pictures by URL, or a picture and an enrolled person."""

    model_config = ConfigDict(extra="forbid", strict=True)

    first: Url
    second: Url | None = None
    person: PersonId | None = None


class VerifyForm(BaseModel):
    """Two pictures, each a file or a URL, or a picture and an enrolled person."""

    model_config = ConfigDict(extra="forbid", strict=True)

    first: File | Url
    second: File | Url | None = None
    person: Annotated[PersonId | None, Field(strict=False)] = None


class Verification(BaseModel):
    """Whether two faces are the same person's, each the most prominent one of its picture."""

    similarity: float = Field(description="Cosine similarity, -1 to 1.", examples=[0.979])
    threshold: float = Field(description="The similarity from which they are taken for the same.", examples=[0.964])
    same_person: bool = Field(description="The answer to act on.")
    false_accept_rate: Fraction | None = Field(
        description="Fraction of other people who are taken for the same at this threshold. Null where the operator "
        "has set it.",
        examples=[0.01],
    )
    boxes: list[FaceBox] = Field(description="Of the face in each picture.")


class EmbeddingsRequest(BaseModel):
    """One picture by URL."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Url


class EmbeddingsForm(BaseModel):
    """One picture as a file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    file: File


class EmbeddedFace(BaseModel):
    """One of the faces in a picture, as numbers."""

    box: FaceBox
    angle: float = Field(description="Degrees by which the face is turned clockwise.", examples=[-4.2])
    score: float = Field(description="The detector's confidence that this is a face, 0 to 1.", examples=[0.93])
    landmarks: Points | None = Field(description="Five points of the face, see `POST /predict`.")
    embedding: list[float] = Field(description="L2-normalized. The cosine of two is their similarity.")


class Embeddings(BaseModel):
    """The faces in a picture, as numbers."""

    embedding_id: str = Field(description="Embeddings can be compared if this is the same.")
    faces: list[EmbeddedFace] = Field(description="The most prominent first.")


def stored_box(sides: tuple[int, int, int, int] | None) -> Box | None:
    """The box of left, top, width and height."""
    if sides is None:
        return None
    left, top, width, height = sides
    return Box(left + width // 2, top + height // 2, (width + height) // 2)


def _sides(box: Box) -> tuple[int, int, int, int]:
    """Left, top, width and height of a box."""
    return box.x - box.size // 2, box.y - box.size // 2, box.size, box.size
