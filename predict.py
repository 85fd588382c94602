"""Serve face recognition over HTTP: pictures by URL, upload or data: URL; names as JSON.

    uv run --no-default-groups predict.py

This command serves on port 8000 with the models in model/, and installs only what serving needs. Try it at
http://127.0.0.1:8000/, or send it a picture:

    curl -F file=@photo.jpg http://127.0.0.1:8000/predict/upload

The service needs face_recognition.onnx, face_detector.onnx and face_landmarks.onnx in model/ with their checksums, and
writes no file but the gallery of enrolled people. With FACEREC_MODEL=accurate it recognizes with
model/face_recognition_accurate.onnx. Settings are environment variables, see facerec/serving/settings.py. `fastapi run
predict.py` serves the same application, but without limits on connections, on slow or large request headers, stalled
clients and the time to shut down, and with uvicorn's own lines in the log.
"""

from facerec.serving.app import create_app
from facerec.serving.log import LogWriter
from facerec.serving.server import serve
from facerec.serving.settings import Settings

settings = Settings.from_environment()
log = LogWriter()
app = create_app(settings, write_log=log.write)

if __name__ == "__main__":
    serve(app, settings, log)
