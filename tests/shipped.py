"""The shipped files, and the data set that they were measured on: in data/, or where the variable LFW says."""

import os
from pathlib import Path

import pytest

from facerec.inference.model_file import ACCURATE_RECOGNIZER_FILE, DETECTOR_FILE, LANDMARKS_FILE, RECOGNIZER_FILE

ROOT = Path(__file__).parents[1]
RECOGNIZER = ROOT / "model" / RECOGNIZER_FILE
ACCURATE_RECOGNIZER = ROOT / "model" / ACCURATE_RECOGNIZER_FILE
DETECTOR = ROOT / "model" / DETECTOR_FILE
LANDMARKS = ROOT / "model" / LANDMARKS_FILE
LFW = Path(os.environ.get("LFW", ROOT / "data" / "lfw-funneled.tgz"))

needs_lfw = pytest.mark.skipif(not LFW.exists(), reason=f"{LFW} is not there: train.py downloads it, or set LFW")
