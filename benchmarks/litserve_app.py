"""The model under LitServe, as its documentation has it: a worker process per CPU (https://lightning.ai/docs/litserve).

    uv run --with litserve -m benchmarks.litserve_app 8000

`benchmarks.serve` starts it in an environment of its own.
"""

import io
import json
import os
import sys

import litserve as ls  # type: ignore[import-not-found]
import onnxruntime as ort
import requests
from fastapi import Request
from PIL import Image

from facerec.inference.cropping import Crop, crop_centre


class Faces(ls.LitAPI):  # type: ignore[misc]
    """Takes `{"url": ...}` or a form with `file`."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # each worker has a CPU
        self.session = ort.InferenceSession("model/face_recognition.onnx", options)
        metadata = json.loads(self.session.get_modelmeta().custom_metadata_map["facerec"])
        self.names = [person["name"] for person in metadata["people"]]

    def decode_request(self, request: Request) -> Crop:
        content = requests.get(request["url"], timeout=10).content if "url" in request else request["file"].file.read()
        return crop_centre(Image.open(io.BytesIO(content)))

    def predict(self, crop: Crop) -> list[float]:
        probabilities: list[float] = self.session.run(["probabilities"], {"images": crop[None]})[0][0].tolist()
        return probabilities

    def encode_response(self, probabilities: list[float]) -> dict[str, dict[str, float]]:
        return {"predictions": dict(zip(self.names, probabilities, strict=True))}


if __name__ == "__main__":
    server = ls.LitServer(Faces(), accelerator="cpu", workers_per_device=len(os.sched_getaffinity(0)))
    server.run(port=int(sys.argv[1]), generate_client_file=False)
