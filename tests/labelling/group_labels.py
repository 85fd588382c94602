"""Labels of faces that are alike, for grouping and for reports."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facerec.inference.model_file import RecognizerMetadata
from facerec.labelling.part_file import Origin, write_part
from facerec.labelling.rows import Row, label_schema, to_batch
from facerec.people.samples import normalize

SIZE = 8
ORIGIN = Origin(recognizer="r" * 64, detector="d" * 64, landmarks="l" * 64, people="p" * 64)
LANDMARKS = np.array([60, 40, 50, 40, 20, 40, 30, 40, 40, 60], np.float32)
"""Of a face that is 35 pixels wide between the eyes."""


def metadata(**fields: Any) -> RecognizerMetadata:
    """Of a recognizer that says no more than its threshold."""
    return RecognizerMetadata.model_construct(threshold=0.8, false_matches=None, **fields)


def someone(person: int, face: int = 0) -> NDArray[np.float32]:
    """The embedding of a face. Those of one person have a similarity of 0.9 or more, those of two of about 0."""
    vector = np.eye(SIZE)[person] + np.random.default_rng(face).normal(scale=0.07, size=SIZE)
    return normalize(vector.astype(np.float32))


def face(path: str, person: int, number: int = 0, **fields: Any) -> Row:
    """The row of a face that is good enough for a group."""
    return Row(
        path=path,
        **{
            "face": 0,
            "embedding": someone(person, number),
            "sharpness": 0.5,
            "landmarks": LANDMARKS,
            "sha256": f"{abs(hash(path)):064x}",
            **fields,
        },
    )


def write_labels(folder: Path, *parts: list[Row]) -> Path:
    """A folder of labels with these parts."""
    folder.mkdir(exist_ok=True)
    schema = label_schema(SIZE)
    for number, rows in enumerate(parts, 1):
        write_part(folder / f"part-{number:06}.parquet", pa.Table.from_batches([to_batch(rows, schema)]), ORIGIN)
    return folder
