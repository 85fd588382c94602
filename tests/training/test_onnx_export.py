from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn

from facerec.inference.model_file import ModelMetadata, verify_checksum
from facerec.training.onnx_export import write_onnx

METADATA = ModelMetadata(
    version="0", created=datetime(2026, 1, 1, tzinfo=UTC), metrics={}, configuration={}, licence="none"
)


class TwoLayers(nn.Module):
    """A layer of float16 numbers, and one of others."""

    def __init__(self, *, factor: float = 1) -> None:
        super().__init__()
        self.rounded = nn.Linear(64, 32)
        self.exact = nn.Linear(32, 16)
        with torch.no_grad():
            for parameter in self.rounded.parameters():
                parameter.copy_(factor * parameter.half().float())

    def forward(self, values: Tensor) -> Tensor:
        result: Tensor = self.exact(self.rounded(values).relu())
        return result[:, 1:]


def written(network: nn.Module, path: Path) -> dict[tuple[int, ...], int]:
    """Write the network, and give the types of its stored weights by their shapes."""
    write_onnx(
        network.eval(),
        torch.zeros(2, 64),
        path,
        input_name="values",
        output_names=["results"],
        dynamic_axes={0: torch.export.Dim("batch")},
        metadata=METADATA,
    )
    verify_checksum(path)
    return {tuple(weight.dims): weight.data_type for weight in onnx.load(path).graph.initializer}


def assert_same_answers(network: nn.Module, path: Path) -> None:
    values = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (results,) = session.run(None, {"values": values.numpy()})
    assert results.dtype == np.float32
    with torch.inference_mode():
        assert results == pytest.approx(network(values).numpy(), rel=1e-5, abs=1e-5)


def test_float16_numbers_are_stored_as_such_and_answers_stay_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = TwoLayers()
    types = written(network, tmp_path / "two.onnx")
    assert {TensorProto.FLOAT16} == {kind for shape, kind in types.items() if set(shape) == {64, 32}}
    assert {TensorProto.FLOAT} == {kind for shape, kind in types.items() if set(shape) == {32, 16}}
    assert types[(32,)] == types[(16,)] == TensorProto.FLOAT, "biases are small"
    assert_same_answers(network, tmp_path / "two.onnx")


def test_numbers_too_large_for_float16_stay_as_they_are(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = TwoLayers(factor=2.0**20)
    types = written(network, tmp_path / "large.onnx")
    assert TensorProto.FLOAT16 not in types.values()
    assert_same_answers(network, tmp_path / "large.onnx")
