"""Recognize known people in pictures.

`facerec.training` trains, evaluates and exports (needs torch); `facerec.serving` answers requests (never imports
torch). Training cuts out crops and checks what it exports with `FaceDetector` and `Recognizer` of `facerec.inference`.
"""

import os

__version__ = "0.1.0"

# ONNX Runtime's wheels give the machine an id and report to their maker, unless told not to before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
