import asyncio
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme

from facerec.pictures.bounded_pool import BoundedPool
from facerec.pictures.errors import (
    FetchTimeout,
    PictureError,
    PictureTooLarge,
    PoolFull,
    TooManyRedirects,
    Unreachable,
    UpstreamEncoding,
    UpstreamStatus,
    UpstreamTruncated,
    UrlNotAllowed,
)
from facerec.pictures.fetch import Fetcher, FetchLimits, Resolve, resolve_host
from tests.harness import LOOPBACK, wait_until
from tests.hostile_server import Connection, HostileServer, Script, head

MAX_BYTES = 100_000
DEADLINE = 0.5
NAMES = {
    "pictures.test": ["127.0.0.1"],
    "private.test": ["10.0.0.1"],
    "rebound.test": ["127.0.0.2"],
    "mixed.test": ["127.0.0.1", "10.0.0.1"],
    "nat64.test": ["64:ff9b::7f00:1"],
    "metadata.test": ["169.254.169.254"],
    "scoped.test": ["fe80::1%lo"],
    "unspecified.test": ["0.0.0.0"],
    "empty.test": [],
}


def resolve(host: str, _: int) -> list[str]:
    if host not in NAMES:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return NAMES[host]


@pytest.fixture
def serve_scripts() -> Iterator[Callable[..., HostileServer]]:
    """Start hostile servers that live as long as the test."""
    with ExitStack() as stack:
        yield lambda scripts, **options: stack.enter_context(HostileServer(scripts, **options))


def fetch(url: str, *, port: int = 80, **options: Any) -> bytes:
    """Fetch `url` with a fetcher that may dial loopback on `port`, and look names up in NAMES."""
    seams = {"resolve": options.pop("resolve", resolve), "ca_file": options.pop("ca_file", None)}
    limits = FetchLimits(
        **{
            "deadline": DEADLINE,
            "max_bytes": MAX_BYTES,
            "allowed_networks": LOOPBACK,
            "allowed_ports": frozenset({port}),
            **options,
        }
    )

    async def run() -> bytes:
        pool = BoundedPool("fetch", threads=4)
        try:
            return await Fetcher(limits, pool, **seams).fetch(url)
        finally:
            wait_until(lambda: pool.slots.in_use == 0, seconds=3)
            pool.close()

    return asyncio.run(run())


def outcome(server: HostileServer, path: str = "/", host: str = "127.0.0.1", **options: Any) -> type[PictureError]:
    """The error that fetching from `server` ends with, all connections closed."""
    with pytest.raises(PictureError) as info:
        fetch(server.url(path, host=host), port=server.port, **options)
    wait_until(lambda: server.open == 0)
    return type(info.value)


def test_a_picture_is_fetched_by_address_and_by_name(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/a.jpg?b=c": lambda connection: connection.respond(b"picture")})
    for host in ("127.0.0.1", "pictures.test"):
        assert fetch(server.url("/a.jpg?b=c#d", host=host), port=server.port) == b"picture"
    assert f"Host: pictures.test:{server.port}" in server.heads[1]


# Addresses


@pytest.mark.parametrize("host", [name for name in NAMES if name != "pictures.test"])
def test_a_name_that_resolves_to_a_forbidden_address_is_not_dialled(
    host: str, serve_scripts: Callable[..., HostileServer]
) -> None:
    server = serve_scripts({})
    assert outcome(server, host=host) is Unreachable
    assert server.connections == 0


def test_only_the_address_that_was_checked_is_dialled(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.respond(b"picture")})
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])  # what a rebinding name server would say
    assert fetch(server.url("/", host="x.test"), port=server.port, resolve=lambda *_: next(answers)) == b"picture"
    assert next(answers) == ["127.0.0.2"]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_a_picture_is_fetched_over_ipv6(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.respond(b"picture")}, address="::1")
    loopback = {ip_network("::1/128")}
    for host, resolver in (("[::1]", resolve), ("x.test", lambda *_: ["::1"])):
        url = server.url("/", host=host)
        assert fetch(url, port=server.port, resolve=resolver, allowed_networks=loopback) == b"picture"


@pytest.mark.parametrize(("name", "resolver"), [("nowhere.test", resolve), ("a" * 64 + ".test", resolve_host)])
def test_a_name_that_does_not_resolve_is_unreachable(name: str, resolver: Resolve) -> None:
    with pytest.raises(Unreachable):
        fetch(f"http://{name}/", resolve=resolver)


def test_forbidden_and_unknown_names_and_closed_ports_get_the_same_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    answers = set()
    for url in (f"http://pictures.test:{closed}/", f"http://private.test:{closed}/", f"http://nowhere.test:{closed}/"):
        with pytest.raises(PictureError) as info:
            fetch(url, port=closed)
        answers.add((type(info.value), info.value.code, str(info.value)))
    assert len(answers) == 1


def test_a_dead_address_does_not_hide_a_living_one(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.respond(b"picture")})
    networks = (ip_network("127.0.0.0/8"),)
    both = ["127.0.0.9", "127.0.0.1"]
    url = server.url("/", host="x.test")
    assert fetch(url, port=server.port, resolve=lambda *_: both, allowed_networks=networks) == b"picture"


# Redirects


def redirect(location: str, status: str = "302 Found") -> Script:
    return lambda connection: connection.respond(status=status, headers=[f"Location: {location}"])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_followed(status: str, serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts(
        {"/dir/a": redirect("b?c", status), "/dir/b?c": lambda connection: connection.respond(b"picture")}
    )
    assert fetch(server.url("/dir/a"), port=server.port) == b"picture"


@pytest.mark.parametrize(
    ("location", "path"), [("bär.jpg", "/b%C3%A4r.jpg"), ("größe.jpg", "/gr%C3%B6%C3%9Fe.jpg"), ("a b", "/a%20b")]
)
def test_redirects_that_are_not_quoted_are_followed(
    location: str, path: str, serve_scripts: Callable[..., HostileServer]
) -> None:
    in_utf_8 = location.encode().decode("latin-1")
    server = serve_scripts({"/": redirect(in_utf_8), path: lambda connection: connection.respond(b"picture")})
    assert fetch(server.url("/"), port=server.port) == b"picture"


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/",
        "http://private.test/",
        "http://127.0.0.2/",
        "http://[::1]/",
        "http://0x7f.1/",
        "http://user@pictures.test/",
        "http://pictures.test:1/",
        "file:///etc/passwd",
        "data:image/png;base64,aaaa",
        "ftp://pictures.test/",
        "//169.254.169.254/",
        "http://[",
    ],
)
def test_every_redirect_is_checked(target: str, serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": redirect(target)})
    assert outcome(server) is Unreachable
    assert server.connections == 1


def test_too_many_redirects_are_refused(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts(
        {"/loop": redirect("/loop"), "/": redirect("/1"), "/1": redirect("/2"), "/2": redirect("/3")}
    )
    server.scripts["/3"] = lambda connection: connection.respond(b"picture")
    assert outcome(server, "/loop") is TooManyRedirects
    assert server.connections == 4
    assert fetch(server.url("/"), port=server.port) == b"picture"
    assert outcome(server, max_redirects=2) is TooManyRedirects


def test_the_body_of_a_redirect_is_not_read(serve_scripts: Callable[..., HostileServer]) -> None:
    def huge(connection: Connection) -> None:
        connection.send(head("302 Found", "Location: /b", "Content-Length: 100000000"))
        for _ in range(1000):
            connection.send(bytes(100_000))

    server = serve_scripts({"/a": huge, "/b": lambda connection: connection.respond(b"picture")})
    assert fetch(server.url("/a"), port=server.port) == b"picture"
    assert server.bytes_sent < 20_000_000  # what the sockets' buffers hold


def test_a_redirect_without_a_location_is_an_error(serve_scripts: Callable[..., HostileServer]) -> None:
    assert outcome(serve_scripts({"/": lambda connection: connection.respond(status="302 Found")})) is UpstreamStatus


# What leaves the service


def test_nothing_of_the_environment_or_earlier_answers_is_sent(
    serve_scripts: Callable[..., HostileServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n")
    for name, value in {
        "NETRC": str(netrc),
        "http_proxy": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    server = serve_scripts(
        {
            "/a": lambda c: c.respond(status="302 Found", headers=["Location: /b", "Set-Cookie: a=b"]),
            "/b": lambda c: c.respond(b"picture"),
        }
    )
    assert fetch(server.url("/a"), port=server.port) == b"picture"
    sent = "".join(server.heads).lower()
    assert {line.partition(":")[0] for line in sent.splitlines() if ":" in line} == {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
    }


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def tls_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_the_certificate_is_checked_against_the_name_not_the_address(
    serve_scripts: Callable[..., HostileServer], authority: trustme.CA, ca_file: str
) -> None:
    asked_for: list[str | None] = []
    context = tls_context(authority, "pictures.test")
    context.sni_callback = lambda _, name, __: asked_for.append(name)
    server = serve_scripts({"/": lambda connection: connection.respond(b"picture")}, tls=context)
    url = server.url("/", host="pictures.test")
    assert fetch(url, port=server.port, ca_file=ca_file, deadline=5) == b"picture"
    assert asked_for == ["pictures.test"]


def test_a_certificate_of_another_name_or_authority_is_refused(
    serve_scripts: Callable[..., HostileServer], authority: trustme.CA, ca_file: str
) -> None:
    server = serve_scripts({"/": lambda c: c.respond(b"picture")}, tls=tls_context(authority, "other.test"))
    assert outcome(server, host="pictures.test", ca_file=ca_file, deadline=5) is Unreachable
    server = serve_scripts({"/": lambda c: c.respond(b"picture")}, tls=tls_context(authority, "pictures.test"))
    assert outcome(server, host="pictures.test", deadline=5) is Unreachable
    assert not server.heads


# The deadline


def drip_headers(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    connection.drip(b"a")


def drip_body(connection: Connection) -> None:
    connection.send(head("200 OK", "Content-Length: 100000"))
    connection.drip(b"a")


def drip_chunks(connection: Connection) -> None:
    connection.send(head("200 OK", "Transfer-Encoding: chunked"))
    connection.drip(b"1\r\na\r\n")


def continue_for_ever(connection: Connection) -> None:
    connection.drip(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.001)


def redirect_slowly(connection: Connection) -> None:
    time.sleep(0.2)
    redirect("/")(connection)


SLOW = {
    "silence": Connection.stall,
    "headers": drip_headers,
    "body": drip_body,
    "chunks": drip_chunks,
    "1xx": continue_for_ever,
    "redirects": redirect_slowly,
}


def timed(attempt: Callable[[], object]) -> float:
    start = time.monotonic()
    attempt()
    return time.monotonic() - start


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_the_deadline_covers_every_way_to_be_slow(
    script: Script, tls: bool, serve_scripts: Callable[..., HostileServer], authority: trustme.CA, ca_file: str
) -> None:
    context = tls_context(authority, "pictures.test") if tls else None
    server = serve_scripts({"/": script}, tls=context)

    def attempt() -> None:
        assert outcome(server, host="pictures.test", ca_file=ca_file, max_redirects=10) is FetchTimeout

    assert DEADLINE <= timed(attempt) < DEADLINE + 2


def test_the_deadline_covers_the_tls_handshake(ca_file: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(FetchTimeout):
            fetch(f"https://pictures.test:{port}/", port=port, ca_file=ca_file)


def test_the_deadline_covers_the_look_up() -> None:
    answer = threading.Event()

    def slow(*_: object) -> list[str]:
        answer.wait(2)
        return ["127.0.0.1"]

    async def run() -> None:
        pool = BoundedPool("fetch", threads=1)
        fetcher = Fetcher(
            FetchLimits(deadline=DEADLINE, max_bytes=MAX_BYTES, allowed_networks=LOOPBACK), pool, resolve=slow
        )
        start = time.monotonic()
        with pytest.raises(FetchTimeout):
            await fetcher.fetch("http://slow.test/")
        assert time.monotonic() - start < 1.5
        with pytest.raises(PoolFull):  # the thread that still looks up counts
            await fetcher.fetch("http://slow.test/")
        answer.set()
        wait_until(lambda: pool.slots.in_use == 0)
        pool.close()

    asyncio.run(run())


def test_the_deadline_covers_connecting() -> None:
    with full_backlog() as port, pytest.raises(FetchTimeout):
        fetch(f"http://127.0.0.1:{port}/", port=port)


@contextmanager
def full_backlog() -> Iterator[int]:
    """The port of a listener that answers no SYN."""
    with socket.socket() as full, ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port: int = full.getsockname()[1]
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


def test_a_fetch_cancelled_while_connecting_leaves_no_thread_behind() -> None:
    async def run(port: int) -> None:
        pool = BoundedPool("fetch", threads=1)
        limits = FetchLimits(
            deadline=30, max_bytes=MAX_BYTES, allowed_networks=LOOPBACK, allowed_ports=frozenset({port})
        )
        task = asyncio.create_task(Fetcher(limits, pool).fetch(f"http://127.0.0.1:{port}/"))
        await asyncio.sleep(0.2)
        assert pool.slots.in_use == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        wait_until(lambda: pool.slots.in_use == 0)
        pool.close()

    with full_backlog() as port:
        asyncio.run(run(port))


def test_only_four_of_many_addresses_are_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[object] = []

    class Recording(socket.socket):
        def connect(self, address: Any) -> None:
            dialled.append(address)
            raise ConnectionRefusedError

    monkeypatch.setattr(socket, "socket", Recording)
    with pytest.raises(Unreachable):
        fetch(
            "http://many.test/",
            resolve=lambda *_: [f"127.0.0.{last}" for last in range(1, 255)],
            allowed_networks=[ip_network("127.0.0.0/8")],
        )
    assert dialled == [(f"127.0.0.{last}", 80) for last in range(1, 5)]


def test_a_fetch_cancelled_while_reading_leaves_no_thread_behind(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": drip_body})

    async def run() -> None:
        pool = BoundedPool("fetch", threads=1)
        limits = FetchLimits(
            deadline=30, max_bytes=MAX_BYTES, allowed_networks=LOOPBACK, allowed_ports=frozenset({server.port})
        )
        task = asyncio.create_task(Fetcher(limits, pool).fetch(server.url("/")))
        while not server.heads:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        wait_until(lambda: pool.slots.in_use == 0)
        pool.close()

    asyncio.run(run())


# Bodies


def test_no_more_is_read_than_the_limit(serve_scripts: Callable[..., HostileServer]) -> None:
    def endless(connection: Connection) -> None:
        while True:
            connection.send(bytes(100_000))

    def without_length(connection: Connection) -> None:
        connection.send(head("200 OK"))
        endless(connection)

    def lying_length(connection: Connection) -> None:
        connection.send(head("200 OK", "Content-Length: 100000000"))
        endless(connection)

    def endless_chunk(connection: Connection) -> None:
        connection.send(head("200 OK", "Transfer-Encoding: chunked") + b"7fffffff\r\n")
        endless(connection)

    for script in (without_length, lying_length, endless_chunk):
        server = serve_scripts({"/": script})
        assert outcome(server, deadline=20) is PictureTooLarge
        assert server.bytes_sent < 20_000_000


def test_the_limit_itself_may_be_reached(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.respond(bytes(MAX_BYTES))})
    assert len(fetch(server.url("/"), port=server.port)) == MAX_BYTES
    assert outcome(server, max_bytes=MAX_BYTES - 1) is PictureTooLarge


def test_a_body_longer_than_its_content_length_is_cut(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda c: c.send(head("200 OK", "Content-Length: 3") + b"picture")})
    assert fetch(server.url("/"), port=server.port) == b"pic"


def test_compressed_answers_are_refused(serve_scripts: Callable[..., HostileServer]) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    server = serve_scripts({"/": lambda c: c.respond(bomb, headers=["Content-Encoding: gzip"])})
    assert outcome(server) is UpstreamEncoding


@pytest.mark.parametrize(
    "answer", [head("200 OK", "Content-Length: 9") + b"pic", head("200 OK", "Transfer-Encoding: chunked") + b"9\r\npic"]
)
def test_truncated_bodies_are_refused(answer: bytes, serve_scripts: Callable[..., HostileServer]) -> None:
    assert outcome(serve_scripts({"/": lambda connection: connection.send(answer)})) is UpstreamTruncated


def test_a_reset_in_the_body_is_an_error(serve_scripts: Callable[..., HostileServer]) -> None:
    def reset(connection: Connection) -> None:
        connection.send(head("200 OK", "Content-Length: 9") + b"pic")
        time.sleep(0.1)
        connection.reset()

    assert outcome(serve_scripts({"/": reset})) is UpstreamTruncated


@pytest.mark.parametrize("status", [103, 201, 204, 205, 206, 304, 400, 404, 418, 500, 503, 999])
def test_only_status_200_is_accepted(status: int, serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.respond(b"secret body", status=f"{status} X")})
    with pytest.raises(UpstreamStatus) as info:
        fetch(server.url("/"), port=server.port)
    assert "secret" not in str(info.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"nonsense",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\x00\r\n\r\n",
    ],
)
def test_nonsense_is_unreachable(answer: bytes, serve_scripts: Callable[..., HostileServer]) -> None:
    assert outcome(serve_scripts({"/": lambda connection: connection.send(answer)})) is Unreachable


def test_a_bad_url_takes_no_slot() -> None:
    async def run() -> None:
        pool, door = BoundedPool("fetch", threads=1), threading.Event()
        holder = asyncio.create_task(pool.run(door.wait, 5))
        await asyncio.sleep(0)
        with pytest.raises(UrlNotAllowed):
            await Fetcher(FetchLimits(deadline=DEADLINE, max_bytes=MAX_BYTES), pool).fetch("http://127.0.0.1/")
        door.set()
        await holder
        pool.close()

    asyncio.run(run())
