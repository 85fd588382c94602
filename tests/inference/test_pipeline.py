"""The steps from a picture file to its people: how large pictures are decoded, and which way up."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facerec.inference.cropping import CropMode
from facerec.inference.detector import FaceDetector
from facerec.inference.pipeline import Pipeline
from facerec.inference.recognizer import Recognizer
from facerec.inference.results import PictureResult, Trace
from facerec.pictures.decode import PictureFile
from tests.harness import photo, picture, saved
from tests.toy_model import TOY_PEOPLE

TWO = ((176, 80, "red"), (48, 80, "lime"))
"""Faces of a photo of 320 x 160 pixels, the most prominent first."""


@pytest.fixture
def pipeline(model: Path, finder: FaceDetector) -> Pipeline:
    recognizer = Recognizer.load(model, threads=1)
    return Pipeline(recognizer, finder, max_bytes=10**7, max_pixels=25_000_000, max_faces=20)


def recognized(pipeline: Pipeline, data: bytes, crop_mode: CropMode = "detect") -> PictureResult:
    return pipeline.recognize(lambda: data, crop_mode, Trace())


def names(result: PictureResult) -> list[str]:
    assert result.output
    return [TOY_PEOPLE[column] for column in result.output.probabilities.argmax(axis=1)]


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
    assert as_jpeg.output
    assert as_png.output
    assert as_jpeg.output.similarities == pytest.approx(as_png.output.similarities, abs=0.01)
    for one, other in zip(as_jpeg.faces, as_png.faces, strict=True):
        assert (one.x, one.y, one.size) == pytest.approx((other.x, other.y, other.size), abs=1)
        assert one.score == pytest.approx(other.score, abs=0.01)


def test_a_jpeg_whose_faces_are_large_enough_is_decoded_once(pipeline: Pipeline, decoded: list[int]) -> None:
    data = saved(photo(*TWO, scale=4).resize((1216, 608)), "JPEG")  # at a half its faces have 122 pixels
    assert names(recognized(pipeline, data)) == list(TOY_PEOPLE[:2])
    assert decoded == [2]


def test_the_centre_of_a_large_jpeg_is_decoded_once(pipeline: Pipeline, decoded: list[int]) -> None:
    assert names(recognized(pipeline, picture(size=(4000, 2100), file_format="JPEG"), "centre")) == [TOY_PEOPLE[0]]
    assert decoded == [8]
