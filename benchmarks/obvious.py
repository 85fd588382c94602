"""The service that one would write first, for comparison: FastAPI, requests, Pillow and ONNX Runtime as they come.

    uv run uvicorn benchmarks.obvious:app

No limits, no checks of URLs, answers or sizes: what `facerec.serving` does beside this is what the comparison weighs.
"""

import io
import json

import numpy as np
import onnxruntime as ort
import requests
from fastapi import FastAPI, UploadFile
from PIL import Image, ImageOps
from pydantic import BaseModel

app = FastAPI()
session = ort.InferenceSession("model/face_recognition.onnx")
names = [person["name"] for person in json.loads(session.get_modelmeta().custom_metadata_map["facerec"])["people"]]


class Picture(BaseModel):
    """A picture by its URL."""

    url: str


@app.post("/predict")
def predict(picture: Picture) -> dict[str, dict[str, float]]:
    """Recognize the picture at a URL."""
    return recognize(requests.get(picture.url, timeout=10).content)


@app.post("/predict/upload")
def predict_upload(file: UploadFile) -> dict[str, dict[str, float]]:
    """Recognize an uploaded picture."""
    return recognize(file.file.read())


def recognize(content: bytes) -> dict[str, dict[str, float]]:
    """The probability of each person."""
    picture = ImageOps.fit(Image.open(io.BytesIO(content)).convert("RGB"), (250, 250))
    probabilities = session.run(["probabilities"], {"images": np.asarray(picture)[None]})[0][0]
    return {"predictions": dict(zip(names, probabilities.tolist(), strict=True))}
