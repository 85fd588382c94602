"""What callers send and get: the API's vocabulary, with examples that work."""

from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from facerec.model_file import ModelMetadata, Person, Proportion
from facerec.serving.problems import Problem
from facerec.serving.recognizer import Recognition

MAX_BATCH = 16

_EXAMPLE_URL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAgMAAABinRfyAAAACVBMVEX68NxaMijmtIzJCZK8AAAARElEQVR42k3MoQ2A"
    "MBAAwMtT0aAYoRrWYSBGQZIqRuoIyCYgEBjMyQOMu1CyZGOI1RKZEq5HmJLAn36fjVoxH0LrX/QCYMALliOaJ+AAAAAASUVORK5CYII="
)
"""A drawn face, small enough for the documentation."""

Url = Annotated[
    str,
    Field(
        description="Where the picture is: an http(s) URL on a public host, or the picture itself as a data: URL.",
        examples=[_EXAMPLE_URL],
    ),
]
TopK = Annotated[
    int | None,
    Field(ge=1, description="How many of the most probable people to list; all by default.", examples=[5]),
]


class PredictRequest(BaseModel):
    """One picture by URL."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    top_k: TopK = None


class BatchRequest(BaseModel):
    """Several pictures by URL."""

    model_config = ConfigDict(extra="forbid")

    urls: Annotated[list[Url], Field(min_length=1, max_length=MAX_BATCH, examples=[[_EXAMPLE_URL, _EXAMPLE_URL]])]
    top_k: TopK = None


class Prediction(BaseModel):
    """Who is in the picture."""

    identity: str | None = Field(
        description="The answer to act on: the most similar person, or null where the similarity is under the "
        "threshold, because this is nobody whom the model knows.",
        examples=["Serena_Williams"],
    )
    similarity: float = Field(description="Cosine similarity to `top_class`, -1 to 1.", examples=[0.71])
    threshold: float = Field(description="The similarity under which a face is a stranger's.", examples=[0.43])
    top_class: str = Field(description="The most probable of the known people.", examples=["Serena_Williams"])
    top_score: float = Field(
        description="The probability of `top_class` if it is one of the known people.", examples=[0.97]
    )
    predictions: dict[str, float] = Field(
        description="The probability of each of the known people, largest first.",
        examples=[{"Serena_Williams": 0.97, "Venus_Williams": 0.02}],
    )

    @classmethod
    def of(cls, recognition: Recognition, names: list[str], *, threshold: float, top_k: int | None) -> Self:
        """The answer for the one frame of `recognition`; `names` are those of its columns."""
        probabilities = recognition.probabilities[0]
        order = (-probabilities).argsort(kind="stable")
        top = order[0]
        similarity = round(float(recognition.similarities[0, top]), 6)
        return cls(
            identity=names[top] if similarity >= threshold else None,
            similarity=similarity,
            threshold=threshold,
            top_class=names[top],
            top_score=round(float(probabilities[top]), 6),
            predictions={names[index]: round(float(probabilities[index]), 6) for index in order[:top_k].tolist()},
        )


class BatchAnswer(BaseModel):
    """The answers to a batch."""

    results: list[Prediction | Problem] = Field(
        description="In the order of the URLs: a prediction, or the problem that this URL had."
    )


class People(BaseModel):
    """Whom the model knows."""

    people: list[Person]


class ModelCard(BaseModel):
    """The model that is loaded."""

    version: str = Field(description="Version of the project that made the file.", examples=["0.1.0"])
    created: AwareDatetime
    sha256: str = Field(description="Checksum of the file.")
    people: int = Field(description="How many people it knows.", examples=[62])
    embedding_size: int = Field(examples=[256])
    threshold: float = Field(description="The similarity in force under which a face is a stranger's.")
    calibrated_threshold: float = Field(description="The threshold that training found.")
    false_accept_rate: Proportion = Field(description="Share of strangers whom `calibrated_threshold` lets pass.")
    temperature: float
    figures: dict[str, float] = Field(description="Test figures, as shares of 1.", examples=[{"top1": 0.98}])
    licence: str

    @classmethod
    def of(cls, metadata: ModelMetadata, *, checksum: str, threshold: float) -> Self:
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
        )


class Health(BaseModel):
    """The process is alive."""

    status: str = Field(examples=["ok"])


class Readiness(BaseModel):
    """The model is verified and warm."""

    status: str = Field(examples=["ready"])
    sha256: str = Field(description="Checksum of the loaded model file.")
