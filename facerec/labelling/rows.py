"""The table of labels: one row for each face, and one for a picture without."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, NamedTuple, Self, get_type_hints

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facerec.errors import CodedError
from facerec.inference.results import PictureResult
from facerec.labelling.found import FoundPicture
from facerec.labelling.matching import Match

LANDMARK_VALUES = 10
"""x and y of five points."""

Text = Annotated[str | None, pa.string()]
Int64 = Annotated[int | None, pa.int64()]
Int32 = Annotated[int | None, pa.int32()]
Int16 = Annotated[int | None, pa.int16()]
Float32 = Annotated[float | None, pa.float32()]


class Row(NamedTuple):
    """A face, or a picture without one. Places are in pixels of the upright picture.

    The fields are the columns of the table, in this order. What does not apply is null: of a picture without a face all
    that is about faces, and of a picture with an error all but its path, what is known of its file, the model and the
    error.
    """

    path: Annotated[str, pa.string()]
    """See `FoundPicture.path`."""
    sha256: Text = None
    """SHA-256 of the picture's file in hexadecimal. Null if it could not be read."""
    bytes: Int64 = None
    """Size of the picture's file."""
    modified: Int64 = None
    """When the file was changed last, in nanoseconds since 1970. Null where the storage doesn't tell."""
    width: Int32 = None
    height: Int32 = None
    turned: Int16 = None
    """Degrees by which the picture is turned clockwise: 0, 90, 180 or 270."""
    face: Int16 = None
    """Index of the face in its picture, the most prominent first. Null for a picture without faces."""
    left: Int32 = None
    """Of the face's box, clipped to the picture."""
    top: Int32 = None
    box_width: Int32 = None
    box_height: Int32 = None
    angle: Float32 = None
    """Degrees by which the face is turned clockwise."""
    score: Float32 = None
    """The detector's confidence that this is a face, 0 to 1."""
    landmarks: Annotated[NDArray[np.float32] | None, pa.list_(pa.float32(), LANDMARK_VALUES)] = None
    """x and y of the five points of the face. Null where those that were found can't be a face's."""
    sharpness: Float32 = None
    """See `facerec.inference.sharpness`."""
    embedding: Annotated[NDArray[np.float32] | None, pa.list_(pa.float32())] = None
    """L2-normalized `[D]`."""
    identity: Text = None
    """The person's name. Null where the similarity is below the threshold."""
    person_id: Text = None
    """Of the person in the gallery. Null for one whom the model alone knows."""
    similarity: Float32 = None
    """Cosine of the face and the most similar person, -1 to 1."""
    threshold: Float32 = None
    """Similarity below which a face belongs to nobody."""
    probability: Float32 = None
    """That it is the most similar person, calibrated, assuming that it is one of the known people."""
    runner_up: Text = None
    """Name of the second most similar person."""
    runner_up_similarity: Float32 = None
    group: Text = None
    """Of faces that belong to nobody who is known and are the same person."""
    model: Text = None
    """SHA-256 of the recognizer's file in hexadecimal."""
    error_code: Text = None
    error_message: Text = None

    @classmethod
    def of_error(cls, picture: FoundPicture, sha256: str | None, error: CodedError, model: str) -> Self:
        """The row of a picture that can't be read or recognized."""
        return cls(
            *(picture.path, sha256, picture.bytes, picture.modified),
            model=model,
            error_code=error.code,
            error_message=str(error),
        )

    @classmethod
    def of_picture(
        cls, picture: FoundPicture, result: PictureResult, matches: Sequence[Match], model: str
    ) -> Iterator[Self]:
        """The rows of a picture.

        Args:
            picture: the file.
            result: of the crop mode `detect`.
            matches: of its faces.
            model: SHA-256 of the recognizer's file.
        """
        row = cls(
            *(picture.path, result.sha256, picture.bytes, picture.modified),
            *(result.width, result.height, result.turned),
            model=model,
        )
        if result.embeddings is None:
            yield row
            return
        for index, (face, landmarks, sharpness, embedding, match) in enumerate(
            zip(result.faces, result.landmarks, result.sharpness, result.embeddings, matches, strict=True)
        ):
            left, top, width, height = face.box(result.width, result.height)
            yield row._replace(
                face=index,
                left=left,
                top=top,
                box_width=width,
                box_height=height,
                angle=math.degrees(face.angle),
                score=face.score,
                landmarks=None if landmarks is None else landmarks.ravel().astype(np.float32),
                sharpness=sharpness,
                embedding=embedding,
                **match._asdict(),
            )


def label_schema(embedding_size: int) -> pa.Schema:
    """The columns of the table for embeddings of so many values."""
    types = {name: hint.__metadata__[0] for name, hint in get_type_hints(Row, include_extras=True).items()}
    types["embedding"] = pa.list_(pa.float32(), embedding_size)
    return pa.schema([pa.field(name, kind, nullable=name != "path") for name, kind in types.items()])


def to_batch(rows: Iterable[Row], schema: pa.Schema) -> pa.RecordBatch:
    """The rows as an Arrow record batch."""
    columns = [*zip(*rows, strict=True)] or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
