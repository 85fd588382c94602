"""The world outside a service: clients that ask without a pause, and the server that their URLs point to.

It shares the machine with the service, so it is bare: one process, one thread, requests made beforehand, answers read
and thrown away. What it costs is measured with the rest.
"""

import asyncio
import json
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPResponse

_BOUNDARY = "picture"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_PATIENCE = 60
"""Seconds after which a client gives an answer up."""


@dataclass
class Outcome:
    """What the clients saw."""

    started: float = field(default_factory=time.perf_counter)
    answered: list[tuple[float, float]] = field(default_factory=list)
    """When each request was sent that was answered with 200, and when its answer had arrived."""
    refused: int = 0
    """Requests answered with 503; the client then waits as `Retry-After` says."""
    failed: int = 0
    """Requests answered otherwise, or not at all."""
    cpu_seconds: float = 0
    """Of clients and picture server together."""

    @property
    def seconds(self) -> float:
        """From the start to the last answer."""
        return max(received for _, received in self.answered) - self.started


def upload(path: str, picture: bytes, fields: Mapping[str, str]) -> bytes:
    """The HTTP request that uploads `picture` as the form's `file`."""
    start = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="'
    before = "".join(f'{start}{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    before += f'{start}file"; filename="face.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = before.encode() + picture + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return _request(path, f"multipart/form-data; boundary={_BOUNDARY}", body)


def by_url(path: str, url: str, fields: Mapping[str, str]) -> bytes:
    """The HTTP request that names the picture at `url`."""
    return _request(path, "application/json", json.dumps({"url": url, **fields}).encode())


def _request(path: str, content_type: str, body: bytes) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + body


def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Send one request to 127.0.0.1:`port`; the answer's status and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
        connection.sendall(request)
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


async def _ask_without_pause(port: int, requests: Sequence[bytes], first: int, end: float, outcome: Outcome) -> None:
    """One client on one kept connection, until `end`."""
    number = first
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while (start := time.perf_counter()) < end:
        request = requests[number % len(requests)]
        number += 1
        try:
            async with asyncio.timeout(_PATIENCE):
                connection = connection or await asyncio.open_connection("127.0.0.1", port)
                head = await _exchange(*connection, request)
        except (OSError, EOFError, TimeoutError):
            outcome.failed += 1
            connection = None
            await asyncio.sleep(0.1)
            continue
        status = int(head[9:12])
        if status == HTTPStatus.OK:
            outcome.answered.append((start, time.perf_counter()))
        elif status == HTTPStatus.SERVICE_UNAVAILABLE:
            outcome.refused += 1
        else:
            outcome.failed += 1
        if _CLOSE.search(head):
            connection[1].close()
            connection = None
        if retry := _RETRY.search(head):
            await asyncio.sleep(int(retry[1]))
    if connection:
        connection[1].close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    """Send `request`, read the whole answer, return its head."""
    writer.write(request)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if length is None:
        raise EOFError("an answer without a length")
    await reader.readexactly(int(length[1]))
    return head


async def _clients(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Outcome:
    outcome, cpu = Outcome(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for client in range(clients):
            group.create_task(_ask_without_pause(port, requests, client, outcome.started + seconds, outcome))
    outcome.cpu_seconds = time.process_time() - cpu
    return outcome


async def _picture_server(port: int, pictures: Sequence[bytes]) -> asyncio.Server:
    async def send_picture(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """`GET /3` gets the picture with the number 3."""
        picture = pictures[int((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1][1:])]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n")
        writer.write(f"Content-Length: {len(picture)}\r\n\r\n".encode())
        writer.write(picture)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(send_picture, "127.0.0.1", port, backlog=1024)


def load(
    port: int,
    requests: Sequence[bytes],
    *,
    clients: int,
    seconds: float,
    pictures_port: int = 0,
    pictures: Sequence[bytes] = (),
) -> Outcome:
    """Send `requests` by turns to 127.0.0.1:`port` from `clients` clients for `seconds`.

    Meanwhile http://127.0.0.1:`pictures_port`/N is the picture with the number N.
    """

    async def both() -> Outcome:
        async with await _picture_server(pictures_port, pictures):
            return await _clients(port, requests, clients, seconds)

    return asyncio.run(both())
