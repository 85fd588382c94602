"""The Python API: recognize the people in pictures, in this process.

The service recognizes pictures of strangers in processes of their own, with limits of memory and time. Here a picture
has the limits of `facerec.models` alone, so it should come from someone you trust.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from facerec.inference.pipeline import Pipeline
from facerec.inference.results import PictureResult, Trace
from facerec.models import choose_recognizer, directions, load_pipeline, read_picture
from facerec.people.errors import NoFace, SeveralFaces
from facerec.people.gallery import Gallery
from facerec.people.identification import Identification, Identifier
from facerec.people.location import gallery_location
from facerec.people.model_choice import embedding_of
from facerec.people.quality import choose_face
from facerec.people.reader import PeopleReader
from facerec.pictures.errors import PictureError, PictureTooCostly

Picture = str | os.PathLike[str] | bytes
"""Path of a picture's file, or its bytes: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF."""


class Candidate(NamedTuple):
    """A person whose face it may be."""

    name: str
    similarity: float
    """Cosine of the face's embedding and the person's template, -1 to 1."""
    probability: float
    """Calibrated, assuming that the face is one of the known people's. Over all of them it sums to 1."""


@dataclass(frozen=True, eq=False)
class RecognizedFace:
    """A face in a picture. Places are in pixels of the upright picture, as its EXIF orientation shows it."""

    identity: str | None
    """The answer to act on: the most similar person, or `None` where the similarity is below the threshold."""
    similarity: float | None
    """Cosine similarity to the most similar person, -1 to 1. `None` if nobody is known."""
    threshold: float
    """Similarity below which a face belongs to nobody who is known."""
    candidates: tuple[Candidate, ...]
    """The most similar people, by falling similarity. Empty if nobody is known."""
    box: tuple[int, int, int, int]
    """Left, top, width and height, clipped to the picture."""
    landmarks: NDArray[np.float64] | None
    """float64 `[5, 2]`, x and y: outer and inner corner of the person's left eye, outer and inner corner of the right
    eye, base of the nose. `None` where the points that were found can't be a face's."""
    angle: float
    """Degrees by which the face is turned clockwise."""
    score: float
    """The detector's confidence that this is a face, 0 to 1."""
    embedding: NDArray[np.float32]
    """float32 `[D]`, L2-normalized. Embeddings of the same model can be compared by their cosine."""


@dataclass(frozen=True)
class Verification:
    """Whether two pictures show the same person."""

    same_person: bool
    """Whether the similarity is at least the threshold."""
    similarity: float
    """Cosine of the two faces' embeddings, -1 to 1."""
    threshold: float
    false_accept_rate: float | None
    """Fraction of other people whom the threshold takes for the same person. `None` for a threshold of the caller's."""


class Recognizer:
    """Recognizes the people whom a model knows, and those who are enrolled in a gallery.

    Safe to use from several threads at once. It holds the models in memory (about 100 MB), so load it once.
    """

    def __init__(self, pipeline: Pipeline, store: PeopleReader, gallery: Gallery, identifier: Identifier) -> None:
        self._pipeline = pipeline
        self._store = store
        self._gallery = gallery
        self._identifier = identifier

    @classmethod
    def load(
        cls,
        *,
        model: str | Path | None = None,
        gallery: str | Path | None = None,
        threshold: float | None = None,
        shipped_people: bool = True,
    ) -> Self:
        """Load the models and open the gallery.

        Args:
            model: path of a recognizer's file, or `default` or `accurate` for the shipped ones. By default what the
                environment variable FACEREC_MODEL says, or the one that the gallery was made with, or `default`.
            gallery: path of the SQLite file of the people who are enrolled, or
                `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`. By default what FACEREC_GALLERY says, or
                `people.sqlite` in the user's data folder. There may be none yet.
            threshold: similarity below which a face belongs to nobody, -1 to 1. By default the model's.
            shipped_people: whether the people whom the model knows are recognized besides those who are enrolled.

        Raises:
            ValueError: the gallery is a URL of another form, or the threshold is no cosine.
            ModelFileError: a model file is missing or can't be used.
            StoreError: the gallery can't be read, or was made with another model.
        """
        if threshold is not None and not -1 <= threshold <= 1:
            raise ValueError(f"a threshold is a cosine from -1 to 1, not {threshold}")
        location = gallery_location(gallery)
        pipeline = load_pipeline(choose_recognizer(model, location, otherwise="default").path)
        recognizer = pipeline.recognizer
        store = PeopleReader(location, embedding_of(recognizer.metadata, recognizer.checksum))
        people = Gallery(store, directions(recognizer) if shipped_people else {})
        return cls(pipeline, store, people, Identifier(recognizer.metadata, threshold))

    def recognize(self, picture: Picture, *, candidates: int = 5) -> list[RecognizedFace]:
        """The faces of a picture, the most prominent first. Empty if none is found.

        People who were enrolled meanwhile, by this process or another, are recognized as well.

        Args:
            picture: path of the file, or its bytes.
            candidates: number of people to list for each face.

        Raises:
            OSError: the file can't be read.
            PictureError: it is not a picture that can be decoded, or takes more memory than there is.
            InferenceError: the model gives no usable answer.
            StoreError: the gallery can't be read.
        """
        result = _look(self._pipeline, picture)
        if result.embeddings is None:
            return []
        self._gallery.refresh()
        identifications = self._identifier.identify(result.embeddings, self._gallery.snapshot, most=max(candidates, 1))
        return [
            _recognized(result, row, identification, candidates) for row, identification in enumerate(identifications)
        ]

    def verify(self, first: Picture, second: Picture) -> Verification:
        """Whether the most prominent faces of two pictures are the same person's. Nobody needs to be enrolled.

        Raises:
            NoFace, SeveralFaces, OSError, PictureError, InferenceError: see `verify_faces`.
        """
        return verify_faces(self._pipeline, self._identifier, first, second)

    def close(self) -> None:
        """Close the connections to the gallery."""
        self._store.close()


def verify_faces(pipeline: Pipeline, identifier: Identifier, first: Picture, second: Picture) -> Verification:
    """Whether the most prominent faces of two pictures are the same person's.

    Args:
        pipeline: finds the faces.
        identifier: has the threshold, for the recognizer of `pipeline`.
        first: path of the file, or its bytes.
        second: as `first`.

    Raises:
        NoFace: a picture shows no face.
        SeveralFaces: a picture shows several people, about equally prominent.
        OSError: a file can't be read.
        PictureError: it is not a picture that can be decoded, or takes more memory than there is.
        InferenceError: the model gives no usable answer. All other messages say which picture it is.
    """
    one, other = _embedding(pipeline, first, "first picture"), _embedding(pipeline, second, "second picture")
    similarity = float(one @ other)
    threshold = identifier.verification_threshold(samples=1)
    return Verification(similarity >= threshold, similarity, threshold, identifier.false_accept_rate)


def _look(pipeline: Pipeline, picture: Picture) -> PictureResult:
    """What a pipeline finds in a picture."""
    data = picture if isinstance(picture, bytes) else read_picture(Path(picture))
    try:
        return pipeline.recognize(lambda: data, "detect", Trace())
    except MemoryError:
        raise PictureTooCostly from None


def _embedding(pipeline: Pipeline, picture: Picture, name: str) -> NDArray[np.float32]:
    """The embedding `[D]` of the only prominent face. Errors begin with the picture's path, or its name."""
    try:
        result = _look(pipeline, picture)
        row = choose_face(result, None)
    except (PictureError, NoFace, SeveralFaces) as error:
        raise type(error)(f"{name if isinstance(picture, bytes) else picture}: {error}") from None
    assert result.embeddings is not None  # there is a face
    embedding: NDArray[np.float32] = result.embeddings[row]
    return embedding


def _recognized(result: PictureResult, row: int, identification: Identification, most: int) -> RecognizedFace:
    """The face of a row of `result`."""
    assert result.embeddings is not None
    face = result.faces[row]
    person, threshold, candidates = identification
    return RecognizedFace(
        identity=person and person.name,
        similarity=candidates[0].similarity if candidates else None,
        threshold=threshold,
        candidates=tuple(Candidate(each.person.name, each.similarity, each.probability) for each in candidates[:most]),
        box=face.box(result.width, result.height),
        landmarks=result.landmarks[row],
        angle=math.degrees(face.angle),
        score=face.score,
        embedding=result.embeddings[row],
    )
