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

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facerec.labels import label
    from facerec.recognizer import Recognizer

__all__ = ["Recognizer", "__version__", "label"]
__version__ = "0.1.0"

# Importing ONNX Runtime reads this variable. Without it, the package gives the machine an id and reports to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    """Import what is public when it is first used, so that `import facerec` takes no time."""
    if name == "Recognizer":
        from facerec.recognizer import Recognizer  # noqa: PLC0415

        return Recognizer
    if name == "label":
        from facerec.labels import label  # noqa: PLC0415

        return label
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
