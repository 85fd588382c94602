"""What tests of the service start and wait for: pictures, a running service."""

import base64
import io
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import requests
import uvicorn
from PIL import Image

from facerec.serving.app import create_app
from facerec.serving.server import server_config
from facerec.serving.settings import Settings
from tests.toy_model import TOY_FACE

ROOT = Path(__file__).parents[1]
LOOPBACK = (ip_network("127.0.0.1/32"),)
"""All that tests allow to be dialled: 127.0.0.2 stays as forbidden as any private address."""


def picture(colour: str = "red", size: tuple[int, int] = (64, 48), file_format: str = "PNG") -> bytes:
    """A picture file of one colour; the toy model knows red, green (`lime`) and blue."""
    return saved(Image.new("RGB", size, colour), file_format)


def saved(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    """The file of `image`."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def data_url(data: bytes) -> str:
    """The data: URL of a picture file."""
    return "data:image/png;base64," + base64.b64encode(data).decode()


def photo(
    *faces: tuple[int, int, str], size: tuple[int, int] = (320, 160), scale: int = 1, colour: str = "black"
) -> Image.Image:
    """A photo in which the toy detector finds `faces`: x and y, both 16 + 32 k, and a colour that the toy model knows.

    With `scale` all of it is so many times larger, and found at the same places once it is shrunk: what marks a face is
    a little larger than the cell of 32 pixels that the detector sees, whose edge stays sharp that way.
    """
    image = Image.new("RGB", (size[0] * scale, size[1] * scale), colour)
    for x, y, person in faces:
        for paint, half in ((person, round(1.1 * TOY_FACE)), ("magenta", 18)):
            image.paste(paint, ((x - half) * scale, (y - half) * scale, (x + half) * scale, (y + half) * scale))
    return image


def wait_until(true: Callable[[], bool], *, seconds: float = 10) -> None:
    """Wait for `true` to hold; fail if it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@contextmanager
def running(settings: Settings, **seams: Any) -> Iterator[str]:
    """The service, served by uvicorn as `predict.py` does, in a thread."""
    settings = settings.model_copy(update={"host": "127.0.0.1", "port": 0})
    server = uvicorn.Server(server_config(create_app(settings, **seams), settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the service did not start"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()


def connect(service: str) -> socket.socket:
    """A bare connection to the service, for what no HTTP library would send."""
    return socket.create_connection(("127.0.0.1", urlsplit(service).port or 0), timeout=20)


def post_head(path: str, *headers: str) -> bytes:
    """The head of a POST of JSON, for a bare connection."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode()


def post_json(path: str, value: object) -> bytes:
    """The whole of it."""
    body = json.dumps(value).encode()
    return post_head(path, f"Content-Length: {len(body)}") + body


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def process(
    command: list[str], variables: Mapping[str, str], *, discard_output: bool = False, cwd: Path = ROOT
) -> Iterator[subprocess.Popen[str]]:
    """`command`, run in the project's folder or `cwd` with further environment variables, killed in the end."""
    environment = {**os.environ, "NO_COLOR": "1", **variables}
    output = subprocess.DEVNULL if discard_output else subprocess.PIPE
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def ready(service: str) -> bool:
    """Whether the service answers that it is ready."""
    try:
        return requests.get(f"{service}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def memory(service: psutil.Process) -> float:
    """Resident megabytes of the service's processes."""
    return sum(each.memory_info().rss for each in (service, *service.children())) / 1e6
