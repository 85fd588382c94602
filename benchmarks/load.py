"""What a service is sent: pictures, in requests, by clients that ask without a pause.

Clients are threads on the same CPUs as the service. Requests are made beforehand and sent with http.client, which takes
little CPU time; what it takes is measured.
"""

import io
import itertools
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from requests import PreparedRequest, Request

from tests.drawn_people import draw_person
from tests.harness import saved
from tests.shipped import LFW

Worker = Callable[[int], int]
"""Does the work with a number, for example sends a request, and returns a status."""


class Answer(NamedTuple):
    status: int  # HTTP status code, 0 without an answer
    sent: float  # seconds of time.perf_counter
    received: float


def crops(count: int) -> list[bytes]:
    """JPEG files of 250 x 250 pixels, each of another person: of LFW, or drawn where LFW's archive is missing."""
    if not LFW.exists():
        return [saved(draw_person(person, 0), "JPEG", quality=90) for person in range(count)]
    files: dict[str, bytes] = {}
    with tarfile.open(LFW, "r|gz") as archive:
        for member in archive:
            person = Path(member.name).parent.name
            if member.name.endswith(".jpg") and person not in files and (file := archive.extractfile(member)):
                files[person] = file.read()
            if len(files) == count:
                break
    return list(files.values())


def photo(crop: bytes, width: int, height: int, file_format: str = "JPEG") -> bytes:
    """A photo file of `width` x `height` pixels with `crop` as its central square, in front of smooth colours.

    Noise as of a sensor makes the file as large as a camera's: a JPEG of 12 megapixels takes 3.6 MB.
    """
    random = np.random.default_rng(0)
    background = Image.fromarray(random.integers(60, 200, (6, 8, 3), dtype=np.uint8))
    picture = background.resize((width, height), Image.Resampling.BICUBIC)
    side = min(width, height)
    face = Image.open(io.BytesIO(crop)).resize((side, side), Image.Resampling.BICUBIC)
    picture.paste(face, ((width - side) // 2, (height - side) // 2))
    noise = 7 * random.standard_normal((height, width, 1), dtype=np.float32)
    noisy = (np.asarray(picture) + noise).clip(0, 255).astype(np.uint8)
    return saved(Image.fromarray(noisy), file_format, quality=90)


def upload(picture: bytes, fields: Mapping[str, str]) -> PreparedRequest:
    """The request that uploads `picture`, a file, with further form `fields`."""
    file = ("face.jpg", picture, "image/jpeg")
    return Request("POST", "http://127.0.0.1/predict/upload", files={"file": file}, data=fields).prepare()


def by_url(url: str, fields: Mapping[str, str]) -> PreparedRequest:
    """The request that names the picture at `url`, with further JSON `fields`."""
    return Request("POST", "http://127.0.0.1/predict", json={"url": url, **fields}).prepare()


def client(port: int, requests: Sequence[PreparedRequest]) -> Worker:
    """A worker that sends requests by turns over a kept connection, and after a 503 waits as `Retry-After` says."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(number: int) -> int:
        request = requests[number % len(requests)]
        try:
            connection.request("POST", request.path_url, request.body, request.headers)
            response = connection.getresponse()
            response.read()
        except (OSError, HTTPException):
            connection.close()
            time.sleep(0.1)
            return 0
        time.sleep(int(response.headers.get("Retry-After", 0)))
        return response.status

    return ask


def repeat(workers: Sequence[Worker], *, seconds: float) -> list[Answer]:
    """Call each of `workers` in a thread of its own, with rising numbers, until `seconds` have passed."""
    end = time.perf_counter() + seconds

    def work(worker: Worker, first: int) -> list[Answer]:
        answers = []
        numbers = itertools.count(first)
        while (sent := time.perf_counter()) < end:
            answers.append(Answer(worker(next(numbers)), sent, time.perf_counter()))
        return answers

    with ThreadPoolExecutor(len(workers)) as pool:
        return list(itertools.chain.from_iterable(pool.map(work, workers, itertools.count())))
