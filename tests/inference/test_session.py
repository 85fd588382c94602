from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from facerec.inference.recognizer import FaceRecognizer


@pytest.mark.parametrize("gpu", [False, True])
def test_models_run_on_a_gpu_where_its_package_is_installed(
    model: Path, monkeypatch: pytest.MonkeyPatch, gpu: bool
) -> None:
    """What is asked for. The session itself is one of the CPU, as there need be no GPU here."""
    asked: list[Any] = []
    session = ort.InferenceSession

    def create(path: Path, options: ort.SessionOptions, providers: list[Any]) -> ort.InferenceSession:
        asked.extend(providers)
        return session(path, options, providers=["CPUExecutionProvider"])

    installed = ["TensorrtExecutionProvider", "CUDAExecutionProvider"] if gpu else ["AzureExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: [*installed, "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(ort, "InferenceSession", create)
    assert not FaceRecognizer.load(model, threads=1).on_gpu
    names = [provider if isinstance(provider, str) else provider[0] for provider in asked]
    assert names == ["CUDAExecutionProvider"] * gpu + ["CPUExecutionProvider"]
