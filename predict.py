"""The service: a picture's URL, file or data: URL in, the names of the people in it out.

    uv run --no-default-groups predict.py

serves on port 8000 with the models in model/, without installing what only training needs. Try it at
http://127.0.0.1:8000/, or send it a picture:

    curl -F file=@photo.jpg http://127.0.0.1:8000/predict/upload

It needs model/face_detector.onnx and model/face_recognition.onnx with their checksums, and writes no files. Settings
are environment variables, see facerec/serving/settings.py. `fastapi run predict.py` serves the same application, but
limits neither the time for request headers nor the time to shut down.
"""

from facerec.serving.app import create_app
from facerec.serving.server import serve
from facerec.serving.settings import Settings

settings = Settings.from_environment()
app = create_app(settings)

if __name__ == "__main__":
    serve(app, settings)
