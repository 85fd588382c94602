"""The picture as it was read, from the request that asks for it to the answer."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from facerec.serving.settings import Settings
from tests.harness import LOOPBACK, data_url, photo, picture, saved
from tests.hostile_server import HostileServer
from tests.serving.conftest import Service

TWO = ((176, 80, "red"), (48, 80, "lime"))
"""Faces of a photo of 320 x 160 pixels."""


@pytest.fixture
def service(serve: Service, model: Path) -> str:
    return serve(Settings(model=model, framing="auto"))


def upload(service: str, data: bytes, **fields: str) -> dict[str, Any]:
    response = requests.post(f"{service}/predict/upload", files={"file": data}, data=fields, timeout=30)
    return dict(response.json())


def shown(answer: dict[str, Any]) -> Image.Image:
    """The picture of an answer."""
    header, data = answer["picture"].split(",")
    assert header == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_it_is_only_in_answers_to_those_who_ask(service: str) -> None:
    data = saved(photo(*TWO))
    answer = upload(service, data)
    assert (answer.pop("picture"), answer["width"], answer["height"]) == (None, 320, 160)
    asked = upload(service, data, picture="true")
    assert shown(asked).size == (320, 160)
    assert {**asked, "picture": None} == {**answer, "picture": None}
    by_url = requests.post(f"{service}/predict", json={"url": data_url(data), "picture": True}, timeout=30).json()
    assert by_url == asked
    batch = requests.post(f"{service}/predict/batch", json={"urls": [data_url(data)]}, timeout=30).json()
    assert batch["results"][0]["picture"] is None


def test_it_takes_a_stage_of_its_own_where_it_is_asked_for(service: str) -> None:
    for picture_wanted in ("true", "false"):
        response = requests.post(
            f"{service}/predict/upload",
            files={"file": saved(photo(*TWO))},
            data={"picture": picture_wanted},
            timeout=30,
        )
        assert ("preview" in response.headers["Server-Timing"]) == (picture_wanted == "true")


@pytest.mark.parametrize("framing", ["auto", "centre"])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF"])
def test_a_turned_file_is_upright_and_fits_the_boxes(service: str, framing: str, file_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    lying = photo(*TWO, scale=8).transpose(Image.Transpose.ROTATE_90)
    answer = upload(service, saved(lying, file_format, exif=exif), framing=framing, picture="true")
    image = shown(answer)
    assert (answer["width"], answer["height"]) == (2560, 1280)
    assert image.size == (1600, 800)
    for x, colour in ((176 - 24, (255, 0, 0)), (48 - 24, (0, 255, 0))):
        assert image.getpixel((x * 5, 80 * 5)) == pytest.approx(colour, abs=30)
    if framing == "auto":
        (left, *_), _ = (face["box"] for face in answer["faces"])
        assert left * image.width / answer["width"] == pytest.approx((176 - 32) * 5, abs=2)


def test_a_picture_without_a_face_is_shown_too(service: str) -> None:
    data = picture("red", size=(320, 160))
    assert "picture" not in upload(service, data)
    answer = upload(service, data, picture="true")
    assert answer["code"] == "no_face"
    assert shown(answer).size == (320, 160)


def test_a_picture_at_an_address_is_fetched_once_and_nothing_of_its_file_is_passed_on(
    serve: Service, model: Path
) -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home"
    file = saved(photo(*TWO), "JPEG", exif=exif, comment=b"at home") + b"<script>at home</script>"
    with HostileServer({"/a.jpg": lambda connection: connection.respond(file)}) as server:
        service = serve(
            Settings(model=model, framing="auto", allowed_networks=LOOPBACK, allowed_ports=frozenset({server.port}))
        )
        request = {"url": server.url("/a.jpg"), "picture": True}
        answer = requests.post(f"{service}/predict", json=request, timeout=30).json()
        assert len(server.heads) == 1
    assert shown(answer).size == (320, 160)
    assert b"at home" in file
    assert b"at home" not in base64.b64decode(answer["picture"].split(",")[1])


def test_a_private_address_shows_nothing(service: str) -> None:
    with HostileServer({"/a.png": lambda connection: connection.respond(picture())}) as server:
        request = {"url": server.url("/a.png"), "picture": True}
        answer = requests.post(f"{service}/predict", json=request, timeout=30).json()
        assert server.heads == []
    assert answer["code"] == "url_not_allowed"
    assert "picture" not in answer
