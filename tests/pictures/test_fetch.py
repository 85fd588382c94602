import asyncio
import gzip
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import psutil
import pytest
import trustme
import uvloop

from facerec import __version__
from facerec.pictures.bounded_pool import Slots
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

T = TypeVar("T")
MAX_BYTES = 100_000
DEADLINE = 0.5
"""Seconds in the tests of the deadline. The others have time, however busy the machine is."""
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


@contextmanager
def fetcher_for(port: int = 80, *, slots: Slots | None = None, **options: Any) -> Iterator[Fetcher]:
    """A fetcher that may dial loopback on `port`, and looks names up in NAMES. It leaves no slot taken."""
    slots = slots or Slots("fetch", 20)
    arguments = {name: options.pop(name) for name in ("resolve", "ca_file", "contact") if name in options}
    limits = {
        "deadline": 10,
        "max_bytes": MAX_BYTES,
        "allowed_networks": LOOPBACK,
        "allowed_ports": frozenset({port}),
    }
    fetcher = Fetcher(FetchLimits(**{**limits, **options}), slots=slots, **{"resolve": resolve, **arguments})
    try:
        yield fetcher
    finally:
        fetcher.close()
    assert slots.in_use == 0


def fetch(url: str, *, port: int = 80, **options: Any) -> bytes:
    """Fetch `url`, and make sure that no task, thread or connection is left behind."""

    async def run() -> bytes:
        with fetcher_for(port, **options) as fetcher:
            tasks, connections = asyncio.all_tasks(), connections_to(port)
            try:
                return await fetcher.fetch(url)
            finally:
                assert asyncio.all_tasks() == tasks
                await asyncio.sleep(0.01)  # what was aborted closes in the loop's next turn
                assert connections_to(port) == connections
                wait_until(lambda: fetcher.look_ups.slots.in_use == 0, seconds=3)

    return run_loop(run())


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in the event loop that the service has."""
    return uvloop.run(main)


def connections_to(port: int) -> int:
    """The connections of this process to `port`, whether established or not."""
    connections = psutil.Process().net_connections("tcp")
    return sum(bool(connection.raddr) and connection.raddr.port == port for connection in connections)


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


@pytest.mark.parametrize(("name", "resolver"), [("nowhere.test", resolve), ("nowhere.invalid", resolve_host)])
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


NAMES_OF_FILES = ["bär.jpg", "9.41\u202fAM.png", "a\u00a0b", "写真\u30001", "می\u200cخ", "👩\u200d🦰", "a b", "50%"]


@pytest.mark.parametrize("name", NAMES_OF_FILES)
def test_names_that_are_not_ascii_are_requested_as_utf_8(
    name: str, serve_scripts: Callable[..., HostileServer]
) -> None:
    path = "/" + quote(name, safe="%")
    server = serve_scripts({path: lambda connection: connection.respond(b"picture")})
    server.scripts["/utf-8"] = redirect(name.encode().decode("latin-1"))
    server.scripts["/quoted"] = redirect(path)
    for url in (f"/{name}", path, "/utf-8", "/quoted"):
        assert fetch(server.url(url), port=server.port) == b"picture"


def test_a_location_in_latin_1_is_followed(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": redirect("bär"), "/b%C3%A4r": lambda connection: connection.respond(b"picture")})
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
        "//168.63.129.16/",
        "http://[",
        "http://a\\b/",
        "/" + "a" * 9000,
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


def test_the_operator_can_name_a_contact(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.respond(b"picture")})
    fetch(server.url("/"), port=server.port)
    fetch(server.url("/"), port=server.port, contact="pictures@example.com")
    anonymous, named = server.heads
    assert f"\r\nUser-Agent: face-recognition/{__version__}\r\n" in anonymous
    assert f"\r\nUser-Agent: face-recognition/{__version__} (+pictures@example.com)\r\n" in named


def test_pictures_are_asked_for_before_anything_else(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.respond(b"picture")})
    fetch(server.url("/"), port=server.port)
    accept = re.search("\r\nAccept: (.*)\r\n", server.heads[0])
    assert accept
    *pictures, rest = accept[1].split(", ")
    assert set(pictures) >= {f"image/{kind}" for kind in ("jpeg", "png", "webp", "gif", "bmp", "tiff", "heic", "avif")}
    assert rest == "*/*;q=0.1"


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def tls_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_the_certificate_is_checked_against_the_name_not_the_address(
    serve_scripts: Callable[..., HostileServer], authority: trustme.CA, ca_file: Path
) -> None:
    asked_for: list[str | None] = []
    context = tls_context(authority, "pictures.test")
    context.sni_callback = lambda _, name, __: asked_for.append(name)
    server = serve_scripts({"/": lambda connection: connection.respond(b"picture")}, tls=context)
    url = server.url("/", host="pictures.test")
    assert fetch(url, port=server.port, ca_file=ca_file, deadline=5) == b"picture"
    assert asked_for == ["pictures.test"]


def test_further_authorities_are_trusted_beside_the_usual_ones(ca_file: Path) -> None:
    usual, further = (
        Fetcher(FetchLimits(deadline=1, max_bytes=1), slots=Slots("fetch", 1), ca_file=path) for path in (None, ca_file)
    )
    assert further._tls.cert_store_stats()["x509"] == usual._tls.cert_store_stats()["x509"] + 1 > 50


def test_a_certificate_of_another_name_or_authority_is_refused(
    serve_scripts: Callable[..., HostileServer], authority: trustme.CA, ca_file: Path
) -> None:
    server = serve_scripts({"/": lambda c: c.respond(b"picture")}, tls=tls_context(authority, "other.test"))
    assert outcome(server, host="pictures.test", ca_file=ca_file, deadline=5) is Unreachable
    server = serve_scripts({"/": lambda c: c.respond(b"picture")}, tls=tls_context(authority, "pictures.test"))
    assert outcome(server, host="pictures.test", deadline=5) is Unreachable
    assert not server.heads


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense", b"\x15\x03\x03\x00\x02\x02\x28", b"\x16\x03\x03\xff\xff" + bytes(70_000)]
)
def test_a_handshake_that_fails_is_unreachable(answer: bytes) -> None:
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with pytest.raises(Unreachable):
            fetch(f"https://pictures.test:{port}/", port=port, deadline=5)
        thread.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_reset_at_once_is_unreachable(scheme: str) -> None:
    def serve(listener: socket.socket) -> None:
        for _ in range(30):
            connection, _ = listener.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.close()

    async def run(port: int) -> None:
        with fetcher_for(port, deadline=5) as fetcher:
            for _ in range(30):
                with pytest.raises(Unreachable):
                    await fetcher.fetch(f"{scheme}://127.0.0.1:{port}/")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        run_loop(run(listener.getsockname()[1]))
        thread.join()


def test_no_server_can_ask_for_a_further_handshake() -> None:
    fetcher = Fetcher(FetchLimits(deadline=1, max_bytes=1), slots=Slots("fetch", 1))
    assert fetcher._tls.options & ssl.OP_NO_RENEGOTIATION
    fetcher.close()


def test_key_exchange_in_a_group_of_the_server_is_refused(
    serve_scripts: Callable[..., HostileServer], authority: trustme.CA, ca_file: Path
) -> None:
    context = tls_context(authority, "pictures.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for ciphers, expected in (("DHE", None), ("ECDHE", b"picture")):
        context.set_ciphers(ciphers)
        server = serve_scripts({"/": lambda connection: connection.respond(b"picture")}, tls=context)
        if expected:
            url = server.url("/", host="pictures.test")
            assert fetch(url, port=server.port, ca_file=ca_file, deadline=5) == expected
        else:
            assert outcome(server, host="pictures.test", ca_file=ca_file, deadline=5) is Unreachable


@pytest.mark.parametrize("whole", [True, False])
def test_a_body_over_tls_ends_with_the_connection(
    whole: bool, serve_scripts: Callable[..., HostileServer], authority: trustme.CA, ca_file: Path
) -> None:
    headers = [] if whole else ["Content-Length: 9"]
    script = {"/": lambda connection: connection.send(head("200 OK", *headers) + b"picture")}
    server = serve_scripts(script, tls=tls_context(authority, "pictures.test"))
    if whole:
        url = server.url("/", host="pictures.test")
        assert fetch(url, port=server.port, ca_file=ca_file, deadline=5) == b"picture"
    else:
        assert outcome(server, host="pictures.test", ca_file=ca_file, deadline=5) is UpstreamTruncated


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
    script: Script, tls: bool, serve_scripts: Callable[..., HostileServer], authority: trustme.CA, ca_file: Path
) -> None:
    context = tls_context(authority, "pictures.test") if tls else None
    server = serve_scripts({"/": script}, tls=context)

    def attempt() -> None:
        assert (
            outcome(server, host="pictures.test", ca_file=ca_file, max_redirects=10, deadline=DEADLINE) is FetchTimeout
        )

    assert DEADLINE <= timed(attempt) < DEADLINE + 2


def test_the_deadline_covers_the_tls_handshake(ca_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(FetchTimeout):
            fetch(f"https://pictures.test:{port}/", port=port, ca_file=ca_file, deadline=DEADLINE)


def test_the_deadline_covers_the_look_up() -> None:
    answer = threading.Event()

    def slow(*_: object) -> list[str]:
        answer.wait(5)
        return ["127.0.0.1"]

    async def run() -> None:
        slots = Slots("fetch", 1)
        with fetcher_for(resolve=slow, slots=slots, deadline=DEADLINE) as fetcher:
            for _ in range(2):
                start = time.monotonic()
                with pytest.raises(FetchTimeout):
                    await fetcher.fetch("http://slow.test/")
                assert time.monotonic() - start < 1.5
                assert slots.in_use == 0
            with pytest.raises(PoolFull):  # the threads that still look up count, and no slot of a fetch is taken
                await fetcher.fetch("http://slow.test/")
            with pytest.raises(Unreachable):  # an address needs no look-up
                await fetcher.fetch("http://127.0.0.1/")
            answer.set()
            wait_until(lambda: fetcher.look_ups.slots.in_use == 0)

    run_loop(run())


def test_a_fetch_cancelled_while_looking_up_frees_its_slot_at_once() -> None:
    answer = threading.Event()

    async def run() -> None:
        slots = Slots("fetch", 1)
        with fetcher_for(resolve=lambda *_: [str(answer.wait(5))], slots=slots, deadline=30) as fetcher:
            await cancel(fetcher, "http://slow.test/", when=lambda: fetcher.look_ups.slots.in_use == 1)
            assert (slots.in_use, fetcher.look_ups.slots.in_use) == (0, 1)
            answer.set()
            wait_until(lambda: fetcher.look_ups.slots.in_use == 0)

    run_loop(run())


async def cancel(fetcher: Fetcher, url: str, *, when: Callable[[], bool]) -> None:
    """Cancel fetching `url` as soon as `when` holds."""
    tasks = asyncio.all_tasks()
    task = asyncio.create_task(fetcher.fetch(url))
    while not when():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == tasks
    await asyncio.sleep(0.01)  # what was aborted closes in the loop's next turn


def test_the_deadline_covers_connecting() -> None:
    with full_backlog() as port, pytest.raises(FetchTimeout):
        fetch(f"http://127.0.0.1:{port}/", port=port, deadline=DEADLINE)


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


def test_a_fetch_cancelled_while_connecting_leaves_nothing_behind() -> None:
    async def run(port: int) -> None:
        slots = Slots("fetch", 1)
        with fetcher_for(port, slots=slots, deadline=30) as fetcher:
            before, connections = threading.active_count(), connections_to(port)
            await cancel(fetcher, f"http://127.0.0.1:{port}/", when=lambda: slots.in_use == 1)
            assert slots.in_use == 0
            assert threading.active_count() == before
            assert connections_to(port) == connections

    with full_backlog() as port:
        run_loop(run(port))


def test_only_four_of_many_addresses_are_dialled(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.respond(b"picture")})  # on 127.0.0.1 alone
    addresses = [f"127.0.0.{last}" for last in range(2, 255)]
    options: dict[str, Any] = {"resolve": lambda *_: addresses, "allowed_networks": (ip_network("127.0.0.0/8"),)}
    addresses.insert(4, "127.0.0.1")
    assert outcome(server, host="many.test", **options) is Unreachable
    assert server.connections == 0
    addresses.insert(3, "127.0.0.1")
    assert fetch(server.url("/", host="many.test"), port=server.port, **options) == b"picture"


def test_a_fetch_cancelled_while_reading_leaves_nothing_behind(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": drip_body})

    async def run() -> None:
        slots = Slots("fetch", 1)
        with fetcher_for(server.port, slots=slots, deadline=30) as fetcher:
            await cancel(fetcher, server.url("/"), when=lambda: bool(server.heads))
            assert slots.in_use == 0
            assert connections_to(server.port) == 0

    run_loop(run())
    wait_until(lambda: server.open == 0)


# The event loop


CHUNKED = head("200 OK", "Transfer-Encoding: chunked")
BUSY = {
    "chunks": CHUNKED + b"1\r\na\r\n" * 100_000,
    "headers": b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 100_000,
    "trailers": CHUNKED + b"0\r\n" + b"a:\r\n" * 100_000,
    "spaces": b"HTTP/1.1 200 OK\r\nX:" + b" " * 60_000 + b"\0\r\n\r\n",
    "spaces in trailers": CHUNKED + b"0\r\nX:" + b" " * 60_000 + b"\0\r\n\r\n",
    "interim responses": (b"HTTP/1.1 103 Early Hints\r\n" + b"a:\r\n" * 99 + b"\r\n") * 1000,
}
"""Responses that take long to parse."""


@pytest.mark.parametrize("response", BUSY.values(), ids=BUSY)
def test_no_server_keeps_the_event_loop_busy(response: bytes, serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.send(response)})
    assert longest_delay(server.url("/"), port=server.port, fetches=16) < 0.1


def test_tls_records_of_one_byte_do_not_keep_the_event_loop_busy(authority: trustme.CA, ca_file: Path) -> None:
    def serve(listener: socket.socket) -> None:
        received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = tls_context(authority, "pictures.test").wrap_bio(received, to_send, server_side=True)
        connection, _ = listener.accept()
        with connection:
            for step in (tls.do_handshake, tls.read):
                while True:
                    try:
                        step()
                        break
                    except ssl.SSLWantReadError:
                        connection.sendall(to_send.read())
                        received.write(connection.recv(65536))
            tls.write(head("200 OK", "Content-Length: 50000"))
            for _ in range(50_000):
                tls.write(b"a")
            connection.sendall(to_send.read())  # at once: the client finds all of the records in its buffers

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        assert longest_delay(f"https://pictures.test:{port}/", port=port, fetches=1, ca_file=ca_file) < 0.1
        thread.join()


def longest_delay(url: str, *, port: int, fetches: int, **options: Any) -> float:
    """Seconds for which other tasks, such as answers to health probes, wait while `url` is fetched several times.

    They are seconds of the event loop's thread alone: the servers of the test, or other processes, do not count.
    """
    delays = []

    async def probe() -> None:
        while True:
            start = time.thread_time()
            await asyncio.sleep(0.001)
            delays.append(time.thread_time() - start)

    async def run() -> None:
        with fetcher_for(port, deadline=20, **options) as fetcher:
            probing = asyncio.create_task(probe())
            start = time.monotonic()
            await asyncio.gather(*(fetcher.fetch(url) for _ in range(fetches)), return_exceptions=True)
            assert time.monotonic() - start < 10
            probing.cancel()

    run_loop(run())
    return max(delays)


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


@pytest.mark.parametrize("name", ["", "identity", "aws-chunked", "none", "utf-8", "binary", "UTF-8, identity"])
def test_encodings_that_are_no_compression_are_ignored(name: str, serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda c: c.respond(b"picture", headers=[f"Content-Encoding: {name}"])})
    assert fetch(server.url("/"), port=server.port) == b"picture"


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "Deflate", "br", "zstd", "compress", "identity, gzip", "gzip,br"])
def test_compressions_are_refused_by_their_name(name: str, serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda c: c.respond(b"picture", headers=[f"Content-Encoding: {name}"])})
    assert outcome(server) is UpstreamEncoding


def test_compressed_answers_are_refused(serve_scripts: Callable[..., HostileServer]) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    server = serve_scripts({"/": lambda c: c.respond(bomb, headers=["Content-Encoding: gzip"])})
    assert outcome(server) is UpstreamEncoding


@pytest.mark.parametrize(
    "body",
    [
        b"7\r\npicture\r\n0\r\n\r\n",
        b"3\r\npic\r\n4\r\nture\r\n0\r\nX: y\r\n\r\n",
        b"0007 ; a=b\r\npicture\r\n000\r\n\r\n",
        b"1\r\np\r\n1;x\r\ni\r\n05\r\ncture\r\n0",  # the connection ends within the last chunk's line
    ],
)
def test_chunked_bodies_are_read(body: bytes, serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.send(CHUNKED + body)})
    if body.endswith(b"0"):
        assert outcome(server) is UpstreamTruncated
    else:
        assert fetch(server.url("/"), port=server.port) == b"picture"


@pytest.mark.parametrize(
    "answer",
    [
        head("200 OK", "Content-Length: 9") + b"pic",
        *(
            CHUNKED + body
            for body in (
                b"",
                b"9\r\npic",
                b"3\r\npic\r\n",
                b"3\r\npicture\r\n0\r\n\r\n",
                b"-1\r\npic\r\n",
                b"-5\r\npic\r\n",
                b"+3\r\npic\r\n",
                b"0x3\r\npic\r\n",
                b"3_0\r\npic\r\n",
                b"\r\n",
                b"3;" + b"a" * 200_000,
                b"3\r\npic" + b"a" * 200_000,
            )
        ),
    ],
)
def test_truncated_bodies_are_refused(answer: bytes, serve_scripts: Callable[..., HostileServer]) -> None:
    assert outcome(serve_scripts({"/": lambda connection: connection.send(answer)})) is UpstreamTruncated


def test_a_reset_in_the_body_is_an_error(serve_scripts: Callable[..., HostileServer]) -> None:
    def reset(connection: Connection) -> None:
        connection.send(head("200 OK", "Content-Length: 9") + b"pic")
        time.sleep(0.1)
        connection.reset()

    assert outcome(serve_scripts({"/": reset})) is UpstreamTruncated


@pytest.mark.parametrize("status", [201, 204, 205, 206, 304, 400, 404, 418, 500, 503, 999])
def test_only_status_200_is_accepted(status: int, serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda connection: connection.respond(b"secret body", status=f"{status} X")})
    with pytest.raises(UpstreamStatus) as info:
        fetch(server.url("/"), port=server.port)
    assert "secret" not in str(info.value)


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


def test_a_few_interim_responses_are_read_past(serve_scripts: Callable[..., HostileServer]) -> None:
    server = serve_scripts({"/": lambda c: c.send(HINTS * 20 + head("200 OK", "Content-Length: 7") + b"picture")})
    assert fetch(server.url("/"), port=server.port) == b"picture"
    server = serve_scripts({"/": lambda c: c.send(HINTS * 21 + head("200 OK", "Content-Length: 7") + b"picture")})
    assert outcome(server) is UpstreamStatus


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
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\na",
        HINTS,
    ],
)
def test_nonsense_is_unreachable(answer: bytes, serve_scripts: Callable[..., HostileServer]) -> None:
    assert outcome(serve_scripts({"/": lambda connection: connection.send(answer)})) is Unreachable


def test_a_bad_url_takes_no_slot() -> None:
    async def run() -> None:
        slots = Slots("fetch", 1)
        with slots.one(), pytest.raises(UrlNotAllowed):
            await Fetcher(FetchLimits(deadline=DEADLINE, max_bytes=MAX_BYTES), slots=slots).fetch("http://127.0.0.1/")

    run_loop(run())


def test_a_fetch_without_a_free_slot_is_refused_at_once() -> None:
    async def run() -> None:
        slots = Slots("fetch", 1)
        with slots.one(), pytest.raises(PoolFull):
            await Fetcher(FetchLimits(deadline=9, max_bytes=MAX_BYTES), slots=slots).fetch("http://slow.test/")

    run_loop(run())
