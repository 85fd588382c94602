from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.cropping import Face, Turn
from facerec.inference.detector import FaceDetector, prominence
from facerec.inference.errors import InvalidOutput, ModelFileError
from facerec.inference.model_file import checksum_path
from tests.harness import photo
from tests.toy_model import (
    TOY_FACE,
    TOY_LONG_SIDE,
    TOY_SECOND_PASS,
    toy_detector_graph,
    toy_detector_metadata,
    toy_metadata,
    write_model,
    write_toy_detector,
)

SIDE = TOY_SECOND_PASS.side


def test_it_finds_each_face_where_it_is(finder: FaceDetector) -> None:
    assert finder.detect(photo()) == []
    (only,) = finder.detect(photo((80, 48, "red")))
    assert only == pytest.approx((80, 48, TOY_FACE, 0, 1))
    assert {face[:2] for face in finder.detect(photo((80, 48, "red"), (240, 80, "lime")))} == {(80, 48), (240, 80)}


@pytest.mark.parametrize("scale", [2, 7])
def test_large_pictures_are_shrunk_for_it_and_faces_are_in_their_pixels(finder: FaceDetector, scale: int) -> None:
    small, large = (finder.detect(photo((80, 48, "red"), (240, 80, "lime"), scale=size)) for size in (1, scale))
    assert large == [pytest.approx(face.scaled(scale), abs=0.05) for face in small]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (33, 31), (TOY_LONG_SIDE + 1, 7)])
def test_every_size_is_taken(finder: FaceDetector, size: tuple[int, int]) -> None:
    assert finder.detect(Image.new("RGB", size, "white")) == []


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK"])
def test_every_mode_is_taken(finder: FaceDetector, mode: str) -> None:
    (only,) = finder.detect(photo((80, 48, "red")).convert(mode))
    assert only == pytest.approx((80, 48, TOY_FACE, 0, 1), abs=0.05)
    for other in ("1", "L", "LA", "I;16", "I"):
        assert finder.detect(Image.new(other, (99, 99), 1)) == []


def test_what_scores_under_the_threshold_is_no_face(finder: FaceDetector) -> None:
    picture = Image.new("RGB", (96, 32))
    for left, light in ((0, 110), (32, 200), (64, 10)):
        picture.paste((light, 0, light), (left, 0, left + 32, 32))
    assert [face.x for face in finder.detect(picture)] == [48]
    assert [face.x for face in finder.candidates(picture)] == [48, 16]
    assert finder.candidates(picture)[0].score == pytest.approx(200 / 255, abs=1e-4)


@pytest.mark.parametrize(
    ("close", "score"),
    [
        ((SIDE / 2, SIDE / 2, 87, 0, 0.9), (140 / 255 + 0.9) / 2),
        ((SIDE / 2, SIDE / 2, 30, 0, 0.9), 140 / 255 / 2),
        ((20, 20, 87, 0, 0.9), 140 / 255 / 2),
    ],
    ids=["there", "something smaller", "something beside"],
)
def test_what_is_in_doubt_is_looked_at_again_closer(
    finder: FaceDetector, monkeypatch: pytest.MonkeyPatch, close: tuple[float, ...], score: float
) -> None:
    looks: list[NDArray[np.uint8]] = []
    run = finder.run

    def looked(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        looks.append(image)
        return run(image) if len(looks) == 1 else np.array([close], np.float32)

    monkeypatch.setattr(finder, "run", looked)
    picture = Image.new("RGB", (96, 32))
    picture.paste((140, 0, 140), (32, 0, 64, 32))
    (face,) = finder.candidates(picture)
    assert face.score == pytest.approx(score, abs=1e-4)
    assert [look.shape for look in looks] == [(32, 96, 3), (SIDE, SIDE, 3)]
    assert (looks[1][SIDE // 2, SIDE // 2] == (140, 0, 140)).all()


@pytest.mark.parametrize(("size", "score"), [(28, (0.5 + 0.8) / 2), (14, (0.5 + 0.5 * 0.8) / 2)])
def test_a_closer_look_does_not_forget_that_specks_deceive(
    finder: FaceDetector, monkeypatch: pytest.MonkeyPatch, size: float, score: float
) -> None:
    middle = SIDE / 2
    looks = iter([[48, 16, size, 0, 0.5], [middle, middle, 87, 0, 0.8]])
    monkeypatch.setattr(finder, "run", lambda _: np.array([next(looks)], np.float32))
    (face,) = finder.candidates(Image.new("RGB", (96, 32)))
    assert face.score == pytest.approx(score)


def test_the_most_prominent_face_is_the_first(finder: FaceDetector) -> None:
    picture = photo((48, 80, "red"), (176, 80, "lime"), (240, 80, "blue"))
    picture.paste((200, 0, 200), (160, 64, 192, 96))  # less sure, yet in the middle
    assert [face.x for face in finder.detect(picture)] == [176, 240, 48]
    near, far = finder.detect(photo((144, 80, "red"), (272, 144, "lime")))
    assert near.x == 144
    assert prominence(far._replace(size=2 * far.size), picture.size) > prominence(near, picture.size)


def test_at_most_a_hundred_faces_are_detected(finder: FaceDetector) -> None:
    assert len(finder.detect(Image.new("RGB", (320, 320), "magenta"))) == 100


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy_detector.onnx"
    write_toy_detector(path)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelFileError, match=r"toy_detector\.onnx is truncated or altered"):
        FaceDetector.load(path, threads=1)
    checksum_path(path).unlink()
    with pytest.raises(ModelFileError, match="is missing"):
        FaceDetector.load(path, threads=1)


def test_another_model_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ModelFileError, match=r"toy\.onnx can't be used: its inputs are images"):
        FaceDetector.load(model, threads=1)
    fixed = toy_detector_graph()
    fixed.input[0].type.tensor_type.shape.dim[1].dim_value = 320
    write_model(tmp_path / "fixed.onnx", fixed, toy_detector_metadata())
    with pytest.raises(ModelFileError, match=r"fixed\.onnx can't be used: its input image is"):
        FaceDetector.load(tmp_path / "fixed.onnx", threads=1)
    write_model(tmp_path / "recognizer.onnx", toy_detector_graph(), toy_metadata())
    with pytest.raises(ModelFileError, match=r"recognizer\.onnx can't be used: its metadata"):
        FaceDetector.load(tmp_path / "recognizer.onnx", threads=1)


def test_nan_out_of_the_model_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "toy_detector.onnx"
    write_model(path, toy_detector_graph(nan_for_white=True), toy_detector_metadata())
    detector = FaceDetector.load(path, threads=1)
    assert len(detector.detect(photo((80, 48, "red")))) == 1
    with pytest.raises(InvalidOutput):
        detector.detect(Image.fromarray(np.full((64, 64, 3), 255, np.uint8)))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_picture_on_its_side_or_upside_down_is_set_upright(
    finder: FaceDetector, monkeypatch: pytest.MonkeyPatch, turn: Turn
) -> None:
    def find_red_above_blue(picture: Image.Image, **_: object) -> list[Face]:
        red, _green, blue = (np.argwhere(np.asarray(picture)[:, :, channel]) for channel in range(3))
        (red_y, red_x), (blue_y, blue_x) = red.mean(axis=0) + 0.5, blue.mean(axis=0) + 0.5
        upright = red_y < blue_y and abs(red_x - blue_x) < 1
        return [Face(red_x, red_y, 20, 0.1, 0.6 if upright else 0.4)]

    monkeypatch.setattr(finder, "detect", find_red_above_blue)
    monkeypatch.setattr(finder, "candidates", find_red_above_blue)
    upright = Image.new("RGB", (100, 60))
    upright.paste("red", (20, 10, 24, 14))
    upright.paste("blue", (20, 40, 24, 44))
    lying = upright.rotate(-turn, expand=True)
    found, (face,) = finder.detect_turned(lying)
    assert found == turn
    (y, x) = np.argwhere(np.asarray(lying)[:, :, 0]).mean(axis=0) + 0.5
    assert (face.x, face.y) == pytest.approx((x, y))
    assert np.degrees(face.angle) == pytest.approx((turn + np.degrees(0.1) + 180) % 360 - 180)


@pytest.mark.parametrize(("upside_down_score", "turn"), [(0.55, 0), (0.65, 180)])
def test_a_picture_is_turned_only_where_a_turn_scores_clearly_higher(
    finder: FaceDetector, monkeypatch: pytest.MonkeyPatch, upside_down_score: float, turn: Turn
) -> None:
    def score_by_place_of_red(picture: Image.Image, **_: object) -> list[Face]:
        reds = np.asarray(picture)[:, picture.width // 2, 0]
        return [Face(48, 80, 60, 0, 0.5 if reds[0] else upside_down_score if reds[-1] else 0.1)]

    monkeypatch.setattr(finder, "detect", score_by_place_of_red)
    monkeypatch.setattr(finder, "candidates", score_by_place_of_red)
    picture = Image.new("RGB", (96, 160))
    picture.paste("red", (0, 0, 96, 10))
    assert finder.detect_turned(picture)[0] == turn


def test_other_turns_are_not_tried_where_an_upright_face_is_certain(
    finder: FaceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    certain = [Face(48, 80, 60, 0, TOY_SECOND_PASS.max_score)]
    looks = iter([certain])
    monkeypatch.setattr(finder, "detect", lambda _: next(looks))
    assert finder.detect_turned(photo((48, 80, "red"))) == (0, certain)


def test_a_crowd_without_a_certain_face_is_looked_at_again_once_and_not_for_each_turn(
    finder: FaceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = np.array([(32 * x + 16, 32 * y + 16, 20, 0, 0.5) for x in range(10) for y in range(10)], np.float32)
    looks = []

    def first_and_second_pass(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        looks.append(image.shape)
        return crowd if image.shape[0] > SIDE else crowd[:1]

    monkeypatch.setattr(finder, "run", first_and_second_pass)
    finder.detect_turned(Image.new("RGB", (320, 320)))
    assert looks.count((SIDE, SIDE, 3)) <= 100 + 3 * 3
