"""The service: a picture's URL, file or data: URL in, the names of the people in it out.

    uv run fastapi run predict.py                        serve on port 8000; try it at http://127.0.0.1:8000/docs
    uv run --no-default-groups fastapi run predict.py    the same, without installing what only training needs
    uv run python predict.py                             the same within stricter bounds: what a container should run

    curl -F file=@photo.jpg http://127.0.0.1:8000/predict/upload

Needs `model/face_detector.onnx`, `model/face_recognition.onnx` and the checksums beside them; leaves nothing behind.
The settings are environment variables, see `facerec/serving/settings.py`. `python predict.py` also bounds how long
request headers and, on SIGTERM, requests in progress may take; `fastapi run` has no options for these.
"""

from facerec.serving.app import create_app
from facerec.serving.server import serve
from facerec.serving.settings import Settings

settings = Settings.from_environment()
app = create_app(settings)

if __name__ == "__main__":
    serve(app, settings)
