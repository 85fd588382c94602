"""The model under BentoML, as its documentation has it: a worker process per CPU (https://docs.bentoml.com).

    uv run --with bentoml bentoml serve benchmarks.bentoml_app:Faces

`benchmarks.serve` starts it in an environment of its own.
"""

import io
import json

import bentoml  # type: ignore[import-not-found]
import onnxruntime as ort
import requests
from PIL import Image

from facerec.inference.cropping import crop_centre


@bentoml.service(workers="cpu_count")
class Faces:
    """Takes `{"url": ...}` at one path and a form with `file` at another."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # each worker has a CPU
        self.session = ort.InferenceSession("model/face_recognition.onnx", options)
        metadata = json.loads(self.session.get_modelmeta().custom_metadata_map["facerec"])
        self.names = [person["name"] for person in metadata["people"]]

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    def predict(self, url: str) -> dict[str, dict[str, float]]:
        """Recognize the picture at a URL. BentoML can fetch one by itself, but not from loopback."""
        return self.recognize(Image.open(io.BytesIO(requests.get(url, timeout=10).content)))

    @bentoml.api(route="/predict/upload")  # type: ignore[untyped-decorator]
    def predict_upload(self, file: Image.Image) -> dict[str, dict[str, float]]:
        """Recognize an uploaded picture."""
        return self.recognize(file)

    def recognize(self, picture: Image.Image) -> dict[str, dict[str, float]]:
        """The probability of each person."""
        probabilities = self.session.run(["probabilities"], {"images": crop_centre(picture)[None]})[0][0]
        return {"predictions": dict(zip(self.names, probabilities.tolist(), strict=True))}
