"""Recognize known people in pictures.

- `facerec.pictures`: from a file, bytes or a URL to pixels
- `facerec.inference`: from pixels to faces and names, with ONNX Runtime
- `facerec.people`: those who are recognized without training, in a file or a database
- `facerec.labelling`: who is in the pictures of a whole archive, as rows of a table
- `facerec.training`: from a folder of people to the model files (needs torch)
- `facerec.serving`: the web service

Inference imports pictures; people and training import both; labelling imports people as well. Serving imports pictures
and inference, and knows nothing of training.
"""

import os

__version__ = "0.1.0"

# Importing ONNX Runtime reads this variable. Without it, the package gives the machine an id and reports to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
