"""The steps from a picture file to its people: how large pictures are decoded, and which way up."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facerec.inference.cropping import CropMode
from facerec.inference.detector import FaceDetector
from facerec.inference.landmark_predictor import LandmarkPredictor, place_points
from facerec.inference.pipeline import Pipeline
from facerec.inference.recognizer import FaceRecognizer
from facerec.inference.results import PictureResult, Trace
from facerec.pictures.decode import PictureFile
from tests.harness import photo, picture, saved
from tests.toy_model import TOY_PEOPLE, TOY_POINTS, write_toy_landmark_predictor

TWO = ((176, 80, "red"), (48, 80, "lime"))
"""Faces of a photo of 320 x 160 pixels, the most prominent first."""


def pipeline_of(model: Path, finder: FaceDetector, predictor: LandmarkPredictor) -> Pipeline:
    recognizer = FaceRecognizer.load(model, threads=1)
    return Pipeline(recognizer, finder, predictor, max_bytes=10**7, max_pixels=25_000_000, max_faces=20)


@pytest.fixture
def pipeline(model: Path, finder: FaceDetector, predictor: LandmarkPredictor) -> Pipeline:
    return pipeline_of(model, finder, predictor)


@pytest.fixture
def aligning(aligned_model: Path, finder: FaceDetector, predictor: LandmarkPredictor) -> Pipeline:
    return pipeline_of(aligned_model, finder, predictor)


def recognized(pipeline: Pipeline, data: bytes, crop_mode: CropMode = "detect") -> PictureResult:
    return pipeline.recognize(lambda: data, crop_mode, Trace())


def names(result: PictureResult) -> list[str]:
    assert result.embeddings is not None
    return [TOY_PEOPLE[column] for column in result.embeddings.argmax(axis=1)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many times smaller than it is each decoded picture was decoded."""
    shrinks = []
    decode = PictureFile.decode

    def recording(file: PictureFile, *, shrink: int = 1) -> Any:
        decoded = decode(file, shrink=shrink)
        shrinks.append(decoded.shrink)
        return decoded

    monkeypatch.setattr(PictureFile, "decode", recording)
    return shrinks


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("scale", "shrinks"), [(1, [1]), (2, [2, 1]), (4, [4, 2]), (9, [8, 4])])
def test_a_large_jpeg_gets_the_same_answer_as_a_png(
    pipeline: Pipeline, decoded: list[int], scale: int, shrinks: list[int], orientation: int
) -> None:
    image = photo(*TWO, scale=scale)
    exif = Image.Exif()
    exif[0x0112] = orientation
    as_jpeg = recognized(pipeline, saved(image, "JPEG", quality=95, exif=exif))
    assert decoded == shrinks
    as_png = recognized(pipeline, saved(image, exif=exif))
    assert decoded == [*shrinks, 1]
    assert names(as_jpeg) == names(as_png) == list(TOY_PEOPLE[:2])
    assert as_jpeg.embeddings == pytest.approx(as_png.embeddings, abs=0.01)
    for one, other in zip(as_jpeg.faces, as_png.faces, strict=True):
        assert (one.x, one.y, one.size) == pytest.approx((other.x, other.y, other.size), abs=1)
        assert one.score == pytest.approx(other.score, abs=0.01)
    assert np.array(as_jpeg.landmarks) == pytest.approx(np.array(as_png.landmarks), abs=1)


def test_a_jpeg_whose_faces_are_large_enough_is_decoded_once(pipeline: Pipeline, decoded: list[int]) -> None:
    data = saved(photo(*TWO, scale=4).resize((1216, 608)), "JPEG")  # at a half its faces have 122 pixels
    assert names(recognized(pipeline, data)) == list(TOY_PEOPLE[:2])
    assert decoded == [2]


def test_the_centre_of_a_large_jpeg_is_decoded_once(pipeline: Pipeline, decoded: list[int]) -> None:
    assert names(recognized(pipeline, picture(size=(4000, 2100), file_format="JPEG"), "centre")) == [TOY_PEOPLE[0]]
    assert decoded == [8]


@pytest.mark.parametrize(("scale", "shrinks"), [(1, [1]), (4, [4]), (9, [8])])
def test_aligned_faces_need_as_many_pixels_as_their_crops_have(
    aligning: Pipeline, decoded: list[int], scale: int, shrinks: list[int]
) -> None:
    # At scale 1 a face has 64 pixels, in the toy recognizer's crops 40: a second, larger decoding is never needed.
    result = recognized(aligning, saved(photo(*TWO, scale=scale), "JPEG", quality=95))
    assert names(result) == list(TOY_PEOPLE[:2])
    assert decoded == shrinks


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_points_are_told_in_pixels_of_the_whole_picture(aligning: Pipeline, file_format: str) -> None:
    result = recognized(aligning, saved(photo(*TWO, scale=4), file_format))
    assert len(result.landmarks) == 2
    for face, landmarks in zip(result.faces, result.landmarks, strict=True):
        assert landmarks == pytest.approx(place_points(np.array(TOY_POINTS), face), abs=1e-3)
    assert result.faces[0].x == pytest.approx(4 * 176, abs=1)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_points_are_looked_for_on_the_central_square(
    pipeline: Pipeline, aligning: Pipeline, decoded: list[int], file_format: str
) -> None:
    data = picture(size=(2200, 4000), file_format=file_format)
    expected = [(1100 + 1000 * x, 2000 + 1000 * y) for x, y in TOY_POINTS]
    for one in (pipeline, aligning):
        result = recognized(one, data, "centre")
        assert (names(result), result.faces) == ([TOY_PEOPLE[0]], [])
        assert np.array(result.landmarks) == pytest.approx(np.array([expected]), abs=1e-3)
    assert decoded == ([8, 8] if file_format == "JPEG" else [1, 1])


@pytest.mark.parametrize("crop_mode", ["detect", "centre"])
def test_a_face_whose_points_make_no_sense_is_recognized_from_its_box(
    crop_mode: CropMode, model: Path, aligned_model: Path, finder: FaceDetector, tmp_path: Path
) -> None:
    left_outer, left_inner, right_outer, *others = TOY_POINTS
    write_toy_landmark_predictor(tmp_path / "crossed.onnx", (right_outer, left_inner, left_outer, *others))
    predictor = LandmarkPredictor.load(tmp_path / "crossed.onnx", threads=1)
    for recognizer in (model, aligned_model):
        result = recognized(
            pipeline_of(recognizer, finder, predictor), saved(photo((48, 80, "lime"), colour="lime")), crop_mode
        )
        assert (names(result), result.landmarks) == ([TOY_PEOPLE[1]], [None])


def test_a_picture_without_a_face_has_no_points(pipeline: Pipeline) -> None:
    result = recognized(pipeline, picture())
    assert (result.embeddings, result.faces, result.landmarks) == (None, [], [])
