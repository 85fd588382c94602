"""Arrays in JSON: how they are written, and types that pydantic checks when it reads them."""

import base64
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainValidator


def array_to_json(array: NDArray[Any]) -> list[Any]:
    """float32 `[N, D]` as N, D and the numbers, little-endian, in base64; any other array as nested lists."""
    if array.dtype != np.float32:
        nested: list[Any] = array.tolist()
        return nested
    rows, columns = array.shape
    return [rows, columns, base64.b64encode(array.astype("<f4").tobytes()).decode()]


def _matrix_from_json(value: Any) -> NDArray[np.float32]:
    try:
        rows, columns, data = value
        return np.frombuffer(base64.b64decode(data, validate=True), "<f4").reshape(rows, columns).astype(np.float32)
    except (TypeError, OverflowError):  # pydantic takes only ValueErrors for wrong input
        raise ValueError("no matrix") from None


def _points_from_json(value: Any) -> NDArray[np.float64]:
    try:
        return np.array(value, np.float64).reshape(-1, 2)
    except (TypeError, OverflowError):
        raise ValueError("no points") from None


Matrix = Annotated[NDArray[np.float32], PlainValidator(_matrix_from_json)]
"""float32 `[N, D]`."""
Points = Annotated[NDArray[np.float64], PlainValidator(_points_from_json)]
"""float64 `[N, 2]`, x and y."""
