"""The shipped files, and the data set that they were measured on: in data/, or where the variable LFW says."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "model" / "face_recognition.onnx"
DETECTOR = ROOT / "model" / "face_detector.onnx"
LFW = Path(os.environ.get("LFW", ROOT / "data" / "lfw-funneled.tgz"))

needs_lfw = pytest.mark.skipif(not LFW.exists(), reason=f"{LFW} is not there: train.py downloads it, or set LFW")
