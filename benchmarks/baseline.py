"""The service that one would write first. It decodes photos at full size and limits neither URLs nor sizes.

uv run uvicorn benchmarks.baseline:app
"""

import io
import json
import os

import numpy as np
import onnxruntime as ort
import requests
from fastapi import Body, FastAPI, UploadFile
from PIL import Image, ImageOps

app = FastAPI()
session = ort.InferenceSession(os.environ.get("BASELINE_MODEL", "model/face_recognition.onnx"))
metadata = json.loads(session.get_modelmeta().custom_metadata_map["facerec"])
names = [person["name"] for person in metadata["people"]]
size = session.get_inputs()[0].shape[1]


@app.post("/predict")
def predict(url: str = Body(embed=True)) -> dict[str, dict[str, float]]:
    return recognize(requests.get(url, timeout=10).content)


@app.post("/predict/upload")
def predict_upload(file: UploadFile) -> dict[str, dict[str, float]]:
    return recognize(file.file.read())


def recognize(content: bytes) -> dict[str, dict[str, float]]:
    """The probability of each person, from the bytes of a picture file."""
    picture = ImageOps.fit(Image.open(io.BytesIO(content)).convert("RGB"), (size, size))
    probabilities = session.run(["probabilities"], {"images": np.asarray(picture)[None]})[0][0]
    return {"predictions": dict(zip(names, probabilities.tolist(), strict=True))}
