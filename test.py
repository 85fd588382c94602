"""Send a picture to the running service and check that the answer is well-formed.

    uv run --no-default-groups test.py               images/sample.jpg: four people of LFW whom the model knows, two not

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
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema, SSLError

SAMPLE = Path(__file__).parent / "images" / "sample.jpg"
"""The picture that is sent where none is given."""
FIELDS = {"identity", "similarity", "threshold", "top_class", "top_score", "predictions", "landmarks"}
"""Fields that the answer and each of its faces must have."""


@dataclass(frozen=True)
class Options:
    """Send a picture to the running service and check that the answer is well-formed."""

    url: str | None = None
    """Address of a picture that the service fetches: http(s) or data:."""
    file: Path | None = None
    """A local picture, which is sent as a data: URL. Default, without --url: images/sample.jpg."""
    framing: Literal["auto", "centre"] | None = None
    """auto finds faces, centre takes the middle. Default: the service's setting."""
    service: str = "http://127.0.0.1:8000"
    """Address of the service."""


class CheckError(Exception):
    """The service can't be reached, or its answer is not what it promises."""


def main(options: Options) -> None:
    """Send a picture, check the answer and print it."""
    answer = ask(options.service, picture_url(options), options.framing)
    check(answer)
    if not isinstance(faces := answer.get("faces"), list):
        raise CheckError("the answer is not well-formed: it has no list of faces")
    for face in faces:
        check(face)
        check_place(face)
    if faces and any(answer[field] != faces[0][field] for field in FIELDS):
        raise CheckError("the answer is not well-formed: its top-level fields differ from those of faces[0]")
    show(faces or [answer])


def show(faces: list[dict[str, Any]]) -> None:
    """Print whose faces they are, how similar they are to that person or to the most similar one, and where."""
    print(f"recognized {sum(face['identity'] is not None for face in faces)} of {len(faces)}:")
    for face in faces:
        if face["similarity"] is None:
            words = ["similar to nobody, because the service knows nobody"]
        else:
            words = [f"similarity {face['similarity']:.3f}, threshold {face['threshold']:.3f}"]
        if "box" in face:
            left, top, width, height = face["box"]
            words.append(f"{width} x {height} pixels from ({left}, {top})")
        print(f"  {face['identity'] or 'unknown':24} {', '.join(words)}")


def picture_url(options: Options) -> str:
    """The URL to send: the one given, or a data: URL of the file or the sample."""
    if options.url and options.file:
        raise CheckError("--url and --file exclude each other")
    if options.url:
        return options.url
    file = options.file or SAMPLE
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CheckError(f"can't read {file}: {error.strerror}") from error
    return "data:application/octet-stream;base64," + base64.b64encode(content).decode()


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
    except (SSLError, InvalidSchema, InvalidURL, MissingSchema) as error:
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
        (is_number(answer.get("similarity")) or not predictions, "the similarity is no number"),
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
