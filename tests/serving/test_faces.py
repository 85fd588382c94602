"""The faces in a picture, from the file to the answer."""

import hashlib
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import requests
from PIL import Image

from facerec.serving.settings import Framing, Settings
from tests.harness import data_url, photo, picture, saved
from tests.serving.conftest import Service
from tests.shipped import DETECTOR
from tests.toy_model import (
    TOY_NAMES,
    TOY_POINTS,
    toy_detector_graph,
    toy_detector_metadata,
    toy_landmark_graph,
    toy_landmark_metadata,
    write_model,
    write_toy_landmark_predictor,
)

ROSA, GUSTAV, _ = TOY_NAMES
TWO = ((176, 80, "red"), (48, 80, "lime"))
"""Faces of a photo of 320 x 160 pixels, the most prominent first."""


@pytest.fixture
def service(serve: Service, model: Path) -> str:
    return serve(Settings(model=model, framing="auto"))


def upload(service: str, data: bytes, **fields: str) -> requests.Response:
    return requests.post(f"{service}/predict/upload", files={"file": data}, data=fields, timeout=30)


def faces(service: str, data: bytes) -> list[dict[str, Any]]:
    response = upload(service, data)
    assert response.status_code == 200, response.text
    return list(response.json()["faces"])


def test_every_face_is_named_and_the_most_prominent_answers(service: str) -> None:
    data = saved(photo(*TWO))
    answer = upload(service, data).json()
    assert answer.pop("sha256") == hashlib.sha256(data).hexdigest()
    assert [face["identity"] for face in answer["faces"]] == [ROSA, GUSTAV]
    assert [face["box"] for face in answer["faces"]] == [[144, 48, 64, 64], [16, 48, 64, 64]]
    assert (answer.pop("faces_found"), answer.pop("turned")) == (2, 0)
    assert (answer.pop("width"), answer.pop("height"), answer.pop("picture")) == (320, 160, None)
    first = answer.pop("faces")[0]
    assert (first.pop("box"), first.pop("angle"), first.pop("score")) == ([144, 48, 64, 64], 0, 1)
    assert first == answer


def test_angle_and_score_are_told(service: str) -> None:
    image = photo(*TWO)
    image.paste((242, 0, 191), (160, 64, 192, 96))
    face = faces(service, saved(image))[0]
    assert (face["angle"], face["score"]) == pytest.approx((np.degrees(0.2), 0.75), abs=0.06)


def test_each_face_has_its_points_and_the_most_prominent_s_answer(service: str) -> None:
    answer = upload(service, saved(photo(*TWO))).json()
    for face, x in zip(answer["faces"], (176, 48), strict=True):
        assert face["landmarks"] == [[round(x + 64 * dx, 1), round(80 + 64 * dy, 1)] for dx, dy in TOY_POINTS]
    assert answer["landmarks"] == answer["faces"][0]["landmarks"]


def test_the_points_of_the_centre_are_told_too(service: str) -> None:
    answer = upload(service, picture(size=(220, 440)), framing="centre").json()
    assert answer["landmarks"] == [[round(110 + 100 * dx, 1), round(220 + 100 * dy, 1)] for dx, dy in TOY_POINTS]
    assert answer["faces"] == []


@pytest.mark.parametrize("recognizer", ["model", "aligned_model"])
def test_a_face_whose_points_make_no_sense_has_none_and_is_recognized_from_its_box(
    serve: Service, recognizer: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    write_toy_landmark_predictor(tmp_path / "upside_down.onnx", tuple((x, -y) for x, y in TOY_POINTS))
    model = request.getfixturevalue(recognizer)
    service = serve(Settings(model=model, landmarks=tmp_path / "upside_down.onnx", framing="auto"))
    found = faces(service, saved(photo((48, 80, "lime"), colour="lime")))
    assert [(face["identity"], face["landmarks"]) for face in found] == [(GUSTAV, None)]


def test_an_unknown_person_among_them_has_no_identity(service: str) -> None:
    assert [face["identity"] for face in faces(service, saved(photo(TWO[0], (48, 80, "grey"))))] == [ROSA, None]


def test_boxes_are_clipped_to_the_picture(service: str) -> None:
    image = photo(*TWO).crop((32, 32, 320, 160))
    assert [face["box"] for face in faces(service, saved(image))] == [[112, 16, 64, 64], [0, 16, 48, 64]]


def test_top_k_shortens_the_list_of_each_face(service: str) -> None:
    answer = upload(service, saved(photo(*TWO)), top_k="1").json()
    assert [len(one["predictions"]) for one in (answer, *answer["faces"])] == [1, 1, 1]


def test_a_picture_without_a_face_is_an_error_that_says_what_to_do(service: str) -> None:
    for data in (picture(), picture(size=(1, 5000))):
        response = upload(service, data)
        assert (response.status_code, response.json()["code"]) == (422, "no_face")
        assert "framing=centre" in response.json()["detail"]


def test_in_a_batch_only_the_picture_without_a_face_fails(service: str) -> None:
    urls = [data_url(saved(photo(*TWO))), data_url(picture())]
    found, none = requests.post(f"{service}/predict/batch", json={"urls": urls}, timeout=9).json()["results"]
    assert len(found["faces"]) == 2
    assert (none["status"], none["code"]) == (422, "no_face")
    answers = requests.post(f"{service}/predict/batch", json={"urls": urls, "framing": "centre"}, timeout=9).json()
    assert [result["faces"] for result in answers["results"]] == [[], []]


@pytest.mark.parametrize("default", ["auto", "centre"])
def test_a_request_can_say_how_a_picture_is_cropped(serve: Service, model: Path, default: Framing) -> None:
    service = serve(Settings(model=model, framing=default))
    data = saved(photo(*TWO))
    for framing, count in (("auto", 2), ("centre", 0), (None, 2 if default == "auto" else 0)):
        given = {} if framing is None else {"framing": framing}
        for response in (
            upload(service, data, **given),
            requests.post(f"{service}/predict", json={"url": data_url(data), **given}, timeout=9),
        ):
            assert len(response.json()["faces"]) == count
            assert ("locate;dur=" in response.headers["Server-Timing"]) is (count > 0)


def test_there_is_no_other_framing(service: str) -> None:
    for response in (
        upload(service, picture(), framing="SECRET"),
        requests.post(f"{service}/predict", json={"url": data_url(picture()), "framing": "SECRET"}, timeout=9),
        requests.post(f"{service}/predict/batch", json={"urls": [data_url(picture())], "framing": 1}, timeout=9),
    ):
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
        assert "framing: " in response.json()["detail"]
        assert "SECRET" not in response.text


def test_detecting_is_a_stage_between_decoding_and_recognizing(service: str) -> None:
    timing = upload(service, saved(photo(*TWO))).headers["Server-Timing"]
    assert [stage.partition(";")[0] for stage in timing.split(", ")] == ["decode", "locate", "infer"]
    assert 'stage="locate"' in requests.get(f"{service}/metrics", timeout=9).text


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_picture_that_lies_on_its_side_is_answered_in_its_own_coordinates(
    serve: Service, model: Path, turn: int
) -> None:
    upright = Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    picture = upright.rotate(-turn, expand=True)
    service = serve(Settings(model=model, detector=DETECTOR, framing="auto"))
    answer = upload(service, saved(picture)).json()
    (face,) = answer["faces"]
    assert answer["turned"] == turn
    assert abs((face["angle"] - turn + 180) % 360 - 180) < 15
    left, top, width, height = face["box"]
    x, y = 265 - upright.width / 2, 223 - upright.height / 2  # of her face, from the middle of the photograph
    for _ in range(turn // 90):
        x, y = -y, x
    assert left < picture.width / 2 + x < left + width
    assert top < picture.height / 2 + y < top + height
    points = np.array(upload(service, saved(upright)).json()["landmarks"]) - np.array(upright.size) / 2
    for _ in range(turn // 90):
        points = np.stack([-points[:, 1], points[:, 0]], axis=1)
    assert answer["landmarks"] == pytest.approx(points + np.array(picture.size) / 2, abs=0.2)


def test_only_the_most_prominent_of_a_hundred_faces_are_recognized(serve: Service, model: Path) -> None:
    answer = upload(
        serve(Settings(model=model, framing="auto", max_faces=7)), picture("magenta", size=(320, 320))
    ).json()
    assert (len(answer["faces"]), answer["faces_found"]) == (7, 100)
    assert answer["faces"][0]["box"] == [112, 112, 64, 64]  # of the four in the middle


def test_nan_out_of_the_detector_is_a_typed_error(serve: Service, model: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "nan.onnx", toy_detector_graph(nan_for_white=True), toy_detector_metadata())
    service = serve(Settings(model=model, detector=tmp_path / "nan.onnx", framing="auto"))
    response = upload(service, picture("white"))
    assert (response.status_code, response.json()["code"]) == (500, "invalid_output")


def test_nan_out_of_the_landmark_predictor_is_a_typed_error(serve: Service, model: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "nan.onnx", toy_landmark_graph(nan_for_white=True), toy_landmark_metadata())
    service = serve(Settings(model=model, landmarks=tmp_path / "nan.onnx", framing="centre"))
    assert upload(service, picture("red")).status_code == 200
    response = upload(service, picture("white"))
    assert (response.status_code, response.json()["code"]) == (500, "invalid_output")
