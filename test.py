"""Send a picture to the running service and check that the answer is well-formed.

    uv run --no-default-groups test.py               a drawn face, whom the model should not know

    python test.py --file portrait.jpg               a picture of yours
    python test.py --url https://example.org/a.jpg   a picture that the service fetches
    python test.py --file a.jpg --framing centre     a picture that is already cropped to a face
    python test.py --service http://host:8000        a service elsewhere

It prints every face, and writes no files. A redirect is not followed, because it would drop the picture. The exit
status is 0 if the answer is well-formed and 1 if not. If the service requires an API key, set the environment variable
API_KEY.
"""

import base64
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard
from urllib.parse import urljoin

import requests
import tyro
from PIL import Image, ImageDraw, ImageFilter

FIELDS = {"identity", "similarity", "threshold", "top_class", "top_score", "predictions", "landmarks"}
"""Fields that the answer and each of its faces must have."""


@dataclass(frozen=True)
class Options:
    """Send a picture to the running service and check that the answer is well-formed."""

    url: str | None = None
    """Address of a picture that the service fetches: http(s) or data:."""
    file: Path | None = None
    """A local picture, which is sent as a data: URL."""
    framing: Literal["auto", "centre"] | None = None
    """auto finds faces, centre takes the middle. Default: the service's setting; centre for the drawn face."""
    service: str = "http://127.0.0.1:8000"
    """Address of the service."""


class CheckError(Exception):
    """The service can't be reached, or its answer is not what it promises."""


def main(options: Options) -> None:
    """Send a picture, check the answer and print it."""
    drawn = not (options.url or options.file)
    answer = ask(options.service, picture_url(options), options.framing or ("centre" if drawn else None))
    check(answer)
    if not isinstance(faces := answer.get("faces"), list):
        raise CheckError("the answer is not well-formed: it has no list of faces")
    for face in faces:
        check(face)
        check_place(face)
    if faces and any(answer[field] != faces[0][field] for field in FIELDS):
        raise CheckError("the answer is not well-formed: its top-level fields differ from those of faces[0]")
    for face in faces or [answer]:
        show(face)


def show(face: dict[str, Any]) -> None:
    """Print whose face it is, and where."""
    print(f"identity:   {face['identity'] or 'unknown'}")
    if face["similarity"] is None:
        print("similarity: none, because the service knows nobody")
    else:
        print(f"similarity: {face['similarity']:.3f} (threshold {face['threshold']:.3f})")
    if "box" in face:
        left, top, width, height = face["box"]
        print(f"where:      {width} x {height} pixels from ({left}, {top}), turned by {face['angle']:.0f} degrees")
    for name, probability in list(face["predictions"].items())[:5]:
        print(f"{probability:8.2%}  {'#' * round(40 * probability):40}  {name}")


def picture_url(options: Options) -> str:
    """The URL to send: the one given, or a data: URL of the file or of a drawn face."""
    if options.url and options.file:
        raise CheckError("--url and --file exclude each other")
    if options.url:
        return options.url
    try:
        content = options.file.read_bytes() if options.file else draw_face()
    except OSError as error:
        raise CheckError(f"can't read {options.file}: {error.strerror}") from error
    return "data:application/octet-stream;base64," + base64.b64encode(content).decode()


def draw_face() -> bytes:
    """A PNG of a drawn face: 250 x 250 pixels, with the face as large as in the pictures that trained the model."""
    picture = Image.new("RGB", (250, 250), "#7f8fa6")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((72, 50, 178, 190), fill="#e0ac8a")
    draw.pieslice((70, 44, 180, 150), 180, 360, fill="#4b3621")
    for x in (103, 147):
        draw.ellipse((x - 9, 108, x + 9, 118), fill="white")
        draw.ellipse((x - 4, 108, x + 4, 118), fill="#3b2f2f")
    draw.polygon([(125, 115), (117, 142), (133, 142)], fill="#c98f6d")
    draw.chord((105, 145, 145, 172), 0, 180, fill="#a3433f")
    content = io.BytesIO()
    picture.filter(ImageFilter.GaussianBlur(1.5)).save(content, "PNG")
    return content.getvalue()


def ask(service: str, url: str, framing: str | None) -> dict[str, Any]:
    """The service's answer to one picture.

    Raises:
        CheckError: there is no answer, or one that is not a success.
    """
    body = {"url": url, "framing": framing}
    key = os.environ.get("API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        response = requests.post(
            f"{service.rstrip('/')}/predict", json=body, headers=headers, timeout=60, allow_redirects=False
        )
        if response.is_redirect:
            target = urljoin(response.url, response.headers["Location"]).removesuffix("/predict")
            raise CheckError(f"{service} has moved: try --service {target}")
        answer = response.json()
    except requests.JSONDecodeError as error:
        raise CheckError(f"{service} answered with {response.status_code} and no JSON: is this the service?") from error
    except requests.Timeout as error:
        raise CheckError(f"{service} didn't answer within a minute: it may be waking up, try again") from error
    except (requests.exceptions.InvalidHeader, UnicodeError) as error:
        raise CheckError("API_KEY can't be sent: a header takes one line of ASCII characters") from error
    except (requests.exceptions.SSLError, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise CheckError(f"--service {service} can't be asked: {error}") from error
    except requests.RequestException as error:
        raise CheckError(f"no service at {service}: `uv run --no-default-groups predict.py` starts one here") from error
    if not isinstance(answer, dict):
        raise CheckError(f"{service} answered with {response.status_code} and no JSON object: is this the service?")
    if response.status_code != requests.codes.ok:
        raise CheckError(f"the service answered with {response.status_code}: {answer.get('detail', answer)}")
    return answer


def check(answer: dict[str, Any]) -> None:
    """Check the fields that an answer and each of its faces have.

    Raises:
        CheckError: a field is missing, or contradicts another.
    """
    if not isinstance(answer, dict) or not isinstance(predictions := answer.get("predictions"), dict):
        raise CheckError("the answer is not well-formed: predictions are missing")
    probabilities = list(predictions.values())
    require(
        (answer.keys() >= FIELDS, f"a field is missing: {FIELDS - answer.keys()}"),
        (all(map(is_number, probabilities)), "a probability is no number"),
        (is_number(answer.get("threshold")), "the threshold is no number"),
        (is_number(answer["similarity"]) or not predictions, "the similarity is no number"),
    )
    known = bool(predictions) and answer["similarity"] >= answer["threshold"]
    require(
        (sum(probabilities) <= 1 + 1e-3, f"probabilities sum to {sum(probabilities)}, to more than 1"),
        (probabilities == sorted(probabilities, reverse=True), "predictions are not sorted, largest first"),
        (answer["top_class"] == next(iter(predictions), None), "top_class is not the largest prediction"),
        (answer["top_score"] == max(probabilities, default=None), "top_score is not the largest probability"),
        (answer.get("identity") == (answer.get("top_class") if known else None), "identity contradicts the threshold"),
        (are_landmarks(answer["landmarks"]), f"{answer['landmarks']} are no five points"),
    )


def check_place(face: dict[str, Any]) -> None:
    """Check the place of a face.

    Raises:
        CheckError: box, angle or score are missing or make no sense.
    """
    box, angle, score = (face.get(name) for name in ("box", "angle", "score"))
    require(
        (
            isinstance(box, list) and len(box) == 4 and all(isinstance(side, int) and side >= 0 for side in box),
            f"{box} is no box of a face",
        ),
        (is_number(angle) and abs(angle) <= 180, f"{angle} is no angle of a face in degrees"),
        (is_number(score) and 0 <= score <= 1, f"{score} is no score of a face"),
    )


def are_landmarks(value: object) -> bool:
    """Whether a JSON value is the five points of a face, or null where they were not found."""
    return value is None or (
        isinstance(value, list)
        and len(value) == 5
        and all(isinstance(point, list) and len(point) == 2 and all(map(is_number, point)) for point in value)
    )


def is_number(value: object) -> TypeGuard[float]:
    """Whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def require(*promises: tuple[bool, str]) -> None:
    """Raise CheckError for the first promise that is not kept: each is whether it is kept, and what is wrong if not."""
    for kept, wrong in promises:
        if not kept:
            raise CheckError(f"the answer is not well-formed: {wrong}")


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names that the console can't show
    try:
        main(tyro.cli(Options, description=__doc__))
        sys.stdout.flush()
    except CheckError as error:
        sys.exit(f"test.py: {error}")
    except BrokenPipeError:  # whoever reads the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
