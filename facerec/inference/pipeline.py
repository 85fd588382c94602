"""The steps from a picture file to the people in it: decode, detect, find the faces' points, crop, recognize."""

from collections.abc import Callable, Sequence

import numpy as np

from facerec.inference.cropping import CropMode, Face
from facerec.inference.detector import FaceDetector
from facerec.inference.face_cropper import CroppedFace, FaceCropper, central_face
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.recognizer import FaceRecognizer
from facerec.inference.results import PictureResult, Trace
from facerec.inference.sharpness import measure_sharpness
from facerec.pictures.decode import Picture, PictureFile
from facerec.pictures.preview import PREVIEW_SIDE, preview_url


class Pipeline:
    """Recognizes the people in pictures. Safe to call from several threads at once.

    Args:
        recognizer: names the person of a crop.
        detector: finds faces.
        predictor: finds the points of a face.
        max_bytes: bytes of a picture file.
        max_pixels: pixels of a picture.
        max_faces: faces of a picture that are recognized, the most prominent ones.
    """

    def __init__(
        self,
        recognizer: FaceRecognizer,
        detector: FaceDetector,
        predictor: LandmarkPredictor,
        *,
        max_bytes: int,
        max_pixels: int,
        max_faces: int,
    ) -> None:
        self.recognizer = recognizer
        self.detector = detector
        self._cropper = FaceCropper(predictor, recognizer.metadata.alignment)
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._max_faces = max_faces

    def recognize(
        self, read: Callable[[], bytes], crop_mode: CropMode, trace: Trace, *, preview: bool = False
    ) -> PictureResult:
        """Recognize the people in a picture.

        Args:
            read: returns the bytes of the picture file. It is called in the stage `decode`, because decoding a `data:`
                URL takes time too.
            crop_mode: whether to detect faces or to take the picture's centre.
            trace: is filled in on the way.
            preview: whether the result holds the picture as it was read. The people are the same with it and without.

        Raises:
            PictureError: the file can't be decoded.
            InvalidOutput: a model's output holds NaN or infinity.
        """
        return (self._detect if crop_mode == "detect" else self._take_centre)(read, trace, preview)

    def _take_centre(self, read: Callable[[], bytes], trace: Trace, preview: bool) -> PictureResult:
        with trace.stage("decode"):
            file = self._open(read, trace)
            picture = file.decode(shrink=self._cropper.max_shrink([central_face(file.size)]))
        url = self._preview(file, picture, trace) if preview else None
        with trace.stage("infer"):
            cropped = self._cropper.crop_centre(picture.image).scaled(picture.shrink)
            result = PictureResult(None, [], [], [], file.sha256, picture.width, picture.height, preview=url)
            return self._recognize([cropped], result)

    def _detect(self, read: Callable[[], bytes], trace: Trace, preview: bool) -> PictureResult:
        with trace.stage("decode"):
            file = self._open(read, trace)
            picture = file.decode(shrink=max(file.size) // self.detector.metadata.long_side)
        url = self._preview(file, picture, trace) if preview else None
        with trace.stage("locate"):  # the name that metrics and logs have had from the start
            turned, found = self.detector.detect_turned(picture.image)
            faces = [face.scaled(picture.shrink) for face in found[: self._max_faces]]
            located = PictureResult(
                None, faces, [], [], file.sha256, picture.width, picture.height, turned, len(found), url
            )
            if not faces:
                return located
            cropped = self._crop_faces(file, picture, faces)
        with trace.stage("infer"):
            return self._recognize(cropped, located)

    def _open(self, read: Callable[[], bytes], trace: Trace) -> PictureFile:
        data = read()
        trace.bytes = len(data)
        file = PictureFile(data, max_bytes=self._max_bytes, max_pixels=self._max_pixels)
        trace.width, trace.height = file.size
        return file

    def _crop_faces(self, file: PictureFile, picture: Picture, faces: Sequence[Face]) -> list[CroppedFace]:
        """Cut `faces` out of `picture`, or out of a larger decoding of `file` where the smallest face needs it.

        Faces and points are in pixels of the whole picture.
        """
        picture = _decoded(file, picture, shrink=self._cropper.max_shrink(faces))
        return [
            self._cropper.crop_face(picture.image, face.scaled(1 / picture.shrink)).scaled(picture.shrink)
            for face in faces
        ]

    @staticmethod
    def _preview(file: PictureFile, picture: Picture, trace: Trace) -> str:
        with trace.stage("preview"):
            return preview_url(_decoded(file, picture, shrink=max(file.size) // PREVIEW_SIDE).image)

    def _recognize(self, cropped: Sequence[CroppedFace], located: PictureResult) -> PictureResult:
        """`located` with the embeddings of its faces, or of its central square."""
        crops, landmarks = zip(*cropped, strict=True)
        return located._replace(
            embeddings=self.recognizer.recognize(np.stack(crops)).embeddings,
            landmarks=list(landmarks),
            sharpness=[measure_sharpness(crop, self._cropper.face_size) for crop in crops],
        )


def _decoded(file: PictureFile, picture: Picture, *, shrink: int) -> Picture:
    """`picture`, or a larger decoding of `file` where `picture` is more than `shrink` times smaller than it."""
    return picture if picture.shrink <= max(1, shrink) else file.decode(shrink=shrink)
