"""What the service answers about itself: whom it knows, which models are loaded, whether it is ready."""

from typing import Self

from pydantic import AwareDatetime, BaseModel, Field

from facerec.model_file import LocatorMetadata, ModelMetadata, Person, Proportion


class People(BaseModel):
    """Whom the model knows."""

    people: list[Person]


class LocatorCard(BaseModel):
    """The model that finds the faces."""

    version: str = Field(description="Version of the project that made the file.", examples=["0.1.0"])
    created: AwareDatetime
    sha256: str = Field(description="Checksum of the file.")
    threshold: Proportion = Field(description="The score under which something is no face.")
    figures: dict[str, float] = Field(
        description="Test figures, as shares of 1; `angle_error` is in degrees, `size_error` a natural logarithm, "
        "`time_ratio` a multiple of a recognition's time.",
        examples=[{"recall": 0.98}],
    )
    licence: str

    @classmethod
    def of(cls, metadata: LocatorMetadata, *, checksum: str) -> Self:
        return cls(
            sha256=checksum, **metadata.model_dump(include={"version", "created", "threshold", "figures", "licence"})
        )


class ModelCard(BaseModel):
    """The models that are loaded: the one that knows people, and the one that finds their faces."""

    version: str = Field(description="Version of the project that made the file.", examples=["0.1.0"])
    created: AwareDatetime
    sha256: str = Field(description="Checksum of the file.")
    people: int = Field(description="How many people it knows.", examples=[62])
    embedding_size: int = Field(examples=[256])
    threshold: float = Field(description="The similarity in force under which a face is a stranger's.")
    calibrated_threshold: float = Field(description="The threshold that training found.")
    false_accept_rate: Proportion = Field(description="Share of strangers whom `calibrated_threshold` lets pass.")
    temperature: float
    figures: dict[str, float] = Field(description="Test figures, as shares of 1.", examples=[{"top_1": 0.98}])
    licence: str
    locator: LocatorCard

    @classmethod
    def of(cls, metadata: ModelMetadata, *, checksum: str, threshold: float, locator: LocatorCard) -> Self:
        return cls(
            version=metadata.version,
            created=metadata.created,
            sha256=checksum,
            people=len(metadata.people),
            embedding_size=metadata.embedding_size,
            threshold=threshold,
            calibrated_threshold=metadata.threshold,
            false_accept_rate=metadata.false_accept_rate,
            temperature=metadata.temperature,
            figures=metadata.figures,
            licence=metadata.licence,
            locator=locator,
        )


class Health(BaseModel):
    """The process is alive."""

    status: str = Field(examples=["ok"])


class Readiness(BaseModel):
    """The models are verified and warm."""

    status: str = Field(examples=["ready"])
    sha256: str = Field(description="Checksum of the loaded model file.")
    locator_sha256: str = Field(description="Checksum of the loaded locator's file.")
