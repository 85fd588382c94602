"""The form of `/predict/upload`: each mistake gets a sentence that names it and says what to do."""

from pathlib import Path
from typing import Any

import pytest
import requests

from facerec.serving.settings import Settings
from tests.harness import picture
from tests.serving.conftest import Service

PICTURE = ("a.png", picture())


@pytest.fixture
def service(serve: Service, model: Path) -> str:
    return serve(Settings(model=model))


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"files": {"image": PICTURE}}, "send the picture as the field `file`"),
        ({"files": {"top_k": (None, "1")}}, "send the picture as the field `file`"),
        ({"files": {"file": ("", b"")}}, "send the picture as the field `file`"),
        ({"files": {"file": (None, "a picture")}}, "`file` has no file name"),
        ({"files": [("file", PICTURE), ("file", PICTURE)]}, "more than once; send one picture per request"),
        ({"files": {"file": PICTURE}, "data": {"framing": ["auto", "centre"]}}, "body.framing: the form holds this"),
        ({"files": {"file": PICTURE}, "data": {"SECRET": "1"}}, "a field that this endpoint does not know"),
        ({"files": {"file": PICTURE, "SECRET": PICTURE}}, "a field that this endpoint does not know"),
        ({"files": {"file": PICTURE}, "data": {"top_k": "9" * 5000}}, "body.top_k: "),
        ({"files": {"file": PICTURE}, "data": {"framing": "middle"}}, "body.framing: "),
        (
            {"data": picture(), "headers": {"Content-Type": "multipart/form-data"}},
            "leave the header to the HTTP library",
        ),
        ({"data": picture(), "headers": {"Content-Type": "multipart/form-data; boundary=b0"}}, "boundary"),
        ({"data": picture(), "headers": {"Content-Type": "image/png"}}, "send the picture as the field `file`"),
        ({"data": picture()}, "send the picture as the field `file`"),
        ({"json": {"file": "a picture"}}, "send the picture as the field `file`"),
        ({"data": {"file": "a picture"}}, "multipart/form-data"),
        (
            {
                "data": b'--b0\r\nContent-Disposition: form-data; filename="a"\r\n\r\nx\r\n--b0--\r\n',
                "headers": {"Content-Type": "multipart/form-data; boundary=b0"},
            },
            'The Content-Disposition header field "name" must be provided.',
        ),
    ],
)
def test_a_wrong_form_is_told_what_is_wrong(service: str, form: dict[str, Any], sentence: str) -> None:
    answer = requests.post(f"{service}/predict/upload", timeout=9, **form)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
    assert sentence in answer.json()["detail"]
    assert "SECRET" not in answer.text


def test_the_form_is_described(service: str) -> None:
    document = requests.get(f"{service}/openapi.json", timeout=9).json()
    content = document["paths"]["/predict/upload"]["post"]["requestBody"]["content"]
    assert content.keys() == {"multipart/form-data"}
    schema = document["components"]["schemas"]["UploadForm"]
    assert content["multipart/form-data"]["schema"] == {"$ref": "#/components/schemas/UploadForm"}
    assert schema["required"] == ["file"]
    assert schema["properties"].keys() == {"file", "top_k", "framing", "picture"}
    assert schema["additionalProperties"] is False
