"""The two implementations that are compared: from a picture file to the embedding of the face in it, on one thread.

Both compute the same network, dlib's, which this project has exported to ONNX with weights rounded to float16.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import face_recognition
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.cropping import Face
from facerec.inference.detector import FaceDetector, prominence
from facerec.inference.face_cropper import FaceCropper
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import ACCURATE_RECOGNIZER_FILE
from facerec.inference.recognizer import FaceRecognizer
from facerec.pictures.decode import PictureFile
from tests.shipped import DETECTOR, LANDMARKS, ROOT

Floats = NDArray[np.floating]
Box = tuple[int, int, int, int]
"""A face's square as face_recognition has it: top, right, bottom and left in whole pixels."""


class Implementation(ABC):
    """Finds the most prominent face of a picture, as `prominence` judges it, and embeds it."""

    @abstractmethod
    def embed(self, file: Path) -> Floats | None:
        """The embedding `[128]`. `None` where no face is found."""

    @abstractmethod
    def samples(self, file: Path) -> list[Floats]:
        """The embeddings `[128]` that are kept of an enrolled person's picture. Empty where no face is found."""


class ThisProject(Implementation):
    """The steps of the service with the accurate model. To enrol, it embeds a face and its mirror image."""

    def __init__(self) -> None:
        self.detector = FaceDetector.load(DETECTOR, threads=1)
        self.predictor = LandmarkPredictor.load(LANDMARKS, threads=1)
        self.recognizer = FaceRecognizer.load(ROOT / "model" / ACCURATE_RECOGNIZER_FILE, threads=1)
        self.cropper = FaceCropper(self.predictor, self.recognizer.metadata.alignment)

    def embed(self, file: Path) -> Floats | None:
        crop = self._crop(file)
        return None if crop is None else self._embed(crop)

    def samples(self, file: Path) -> list[Floats]:
        crop = self._crop(file)
        return [] if crop is None else [self._embed(crop), self._embed(crop[:, ::-1])]

    def _crop(self, file: Path) -> NDArray[np.uint8] | None:
        picture = decode(file)
        _, faces = self.detector.detect_turned(picture)
        return self.cropper.crop_face(picture, faces[0]).crop if faces else None

    def _embed(self, crop: NDArray[np.uint8]) -> Floats:
        embedding: Floats = self.recognizer.recognize(crop[None]).embeddings[0]
        return embedding


class Package(Implementation):
    """The package face_recognition with its defaults.

    Its detector (HOG) looks at the picture at twice its size. Five points align the face, which is embedded once.
    """

    def embed(self, file: Path) -> Floats | None:
        image = face_recognition.load_image_file(file)
        boxes = face_recognition.face_locations(image)
        if not boxes:
            return None
        picture = Image.fromarray(image)
        box = max(boxes, key=lambda box: prominence(_face(box), picture.size))
        return self.embed_face(image, box)

    def samples(self, file: Path) -> list[Floats]:
        embedding = self.embed(file)
        return [] if embedding is None else [embedding]

    def embed_face(self, image: NDArray[np.uint8], box: Box) -> Floats:
        """The embedding of a face whose place is known."""
        encodings: list[Floats] = face_recognition.face_encodings(
            image, known_face_locations=[box], num_jitters=1, model="small"
        )
        return encodings[0]


class Gallery(ABC):
    """The people who are enrolled."""

    @abstractmethod
    def similarities(self, embedding: Floats | None) -> Floats:
        """How similar a face is to each of the P people: `[P]`, higher is more similar, -inf without a face."""


class Templates(Gallery):
    """A person is the mean of the L2-normalized embeddings, compared by cosine: this project's way.

    Args:
        people: for each person, the embeddings of the enrolled pictures.
    """

    def __init__(self, people: Sequence[Sequence[Floats]]) -> None:
        self._templates = np.stack([_normalized(_normalized(np.stack(samples)).mean(axis=0)) for samples in people])

    def similarities(self, embedding: Floats | None) -> Floats:
        if embedding is None:
            return np.full(len(self._templates), -np.inf)
        return self._templates @ _normalized(embedding)


class Nearest(Gallery):
    """A person is as near as the nearest of their enrolled pictures: face_recognition's way, by its `face_distance`.

    Args:
        people: for each person, the embeddings of the enrolled pictures.
    """

    def __init__(self, people: Sequence[Sequence[Floats]]) -> None:
        self._samples = np.concatenate([np.stack(samples) for samples in people])
        self._starts = np.cumsum([0, *(len(samples) for samples in people[:-1])])

    def similarities(self, embedding: Floats | None) -> Floats:
        if embedding is None:
            return np.full(len(self._starts), -np.inf)
        nearest: Floats = np.minimum.reduceat(face_recognition.face_distance(self._samples, embedding), self._starts)
        return -nearest


def decode(file: Path) -> Image.Image:
    """Decode a picture as the service does."""
    return PictureFile(file.read_bytes(), max_bytes=1 << 25, max_pixels=100_000_000).decode().image


def box_of(face: Face) -> Box:
    """The square of `face` in whole pixels."""
    left, top = round(face.x - face.size / 2), round(face.y - face.size / 2)
    return top, left + round(face.size), top + round(face.size), left


def _face(box: Box) -> Face:
    top, right, bottom, left = box
    return Face((left + right) / 2, (top + bottom) / 2, math.sqrt((right - left) * (bottom - top)), angle=0, score=1)


def _normalized(rows: Floats) -> Floats:
    normalized: Floats = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return normalized
