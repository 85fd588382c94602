"""Recognize known people in pictures.

    import facerec

    recognizer = facerec.Recognizer.load()
    for face in recognizer.recognize("photo.jpg"):
        print(face.identity, face.similarity, face.box)

    for batch in facerec.label("photos/"):
        print(batch.to_pylist())

- `facerec.recognizer`: the class above
- `facerec.labels`: the function above
- `facerec.commands`: the command `facerec`
- `facerec.pictures`: from a file, bytes or a URL to pixels
- `facerec.inference`: from pixels to faces and names, with ONNX Runtime
- `facerec.people`: those who are recognized without training, in a file or a database
- `facerec.labelling`: who is in the pictures of a whole archive, as rows of a table
- `facerec.training`: from a folder of people to the model files (needs torch)
- `facerec.serving`: the web service

Inference imports pictures; people and training import both; labelling imports people as well. Serving imports all but
training and labelling, the command all of it.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facerec.inference.errors import ModelFileError
    from facerec.labels import label
    from facerec.people.errors import NoFace, SeveralFaces, StoreError
    from facerec.pictures.errors import PictureError
    from facerec.recognizer import Recognizer

__all__ = [
    "ModelFileError",
    "NoFace",
    "PictureError",
    "Recognizer",
    "SeveralFaces",
    "StoreError",
    "__version__",
    "label",
]
__version__ = "0.1.0"

_MODULES = {
    "ModelFileError": "facerec.inference.errors",
    "NoFace": "facerec.people.errors",
    "PictureError": "facerec.pictures.errors",
    "Recognizer": "facerec.recognizer",
    "SeveralFaces": "facerec.people.errors",
    "StoreError": "facerec.people.errors",
    "label": "facerec.labels",
}
"""Where each public name is."""

# Importing ONNX Runtime reads this variable. Without it, the package gives the machine an id and reports to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    """Import what is public when it is first used, so that `import facerec` takes no time."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
