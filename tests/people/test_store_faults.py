"""A gallery when processes, servers and disks fail: nothing is lost, nothing is half done, and errors are typed."""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from facerec.people.errors import (
    NameTaken,
    StoreDamaged,
    StoreFull,
    StoreNotWritable,
    StoreOfOtherModel,
    StoreOfOtherVersion,
    StoreUnavailable,
)
from facerec.people.sqlite import SqliteFile
from facerec.people.store import PeopleStore
from tests.people.faces import EMBEDDING, sample
from tests.people.postgresql_server import PostgresqlServer
from tests.shipped import ROOT
from tests.training.small_disk import no_file_larger_than


def names(store: PeopleStore) -> dict[str, int]:
    """Everybody's name and number of samples."""
    return {person.name: len(person.embeddings) for person in store.changes_since(0).changed}


@contextlib.contextmanager
def writer(location: str, prefix: str, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process that adds people, ready to start. See `tests.people.writer`."""
    command = [sys.executable, "-m", "tests.people.writer", location, prefix, str(count)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def start(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def acknowledged(process: subprocess.Popen[str]) -> set[str]:
    """The names that the process has printed until it ended."""
    assert process.stdout
    return set(process.stdout.read().split("\n")) - {""}


def test_two_processes_that_add_the_same_names_share_them(location: str, store: PeopleStore) -> None:
    with writer(location, "Person", 40) as one, writer(location, "Person", 40) as other:
        start(one)
        start(other)
        first, second = acknowledged(one), acknowledged(other)
    assert not first & second
    assert first | second == {f"Person {number}" for number in range(40)}
    assert names(store) == {f"Person {number}": 2 for number in range(40)}
    assert store.count_changes() == 40


def test_threads_share_a_store(store: PeopleStore) -> None:
    def add(number: int) -> bool:
        try:
            store.add_person(f"Person {number % 20}", [sample(number)])
        except NameTaken:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(60))) == 20
    assert len(names(store)) == 20


def test_threads_that_open_a_new_file_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """A hundred new files, because SQLite refuses a lock in about three of a hundred."""
    threads = threading.Barrier(8)

    def open_file(database: SqliteFile) -> str:
        threads.wait()
        with database.read() as connection:
            return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())

    for number in range(100):
        database = SqliteFile(tmp_path / f"{number}.sqlite")
        database.create()
        with ThreadPoolExecutor(threads.parties) as pool:
            assert set(pool.map(open_file, [database] * threads.parties)) == {"wal"}
        database.close()


kills = pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
"""How often a process is killed."""


@kills
def test_a_killed_writer_loses_nothing_that_was_acknowledged(location: str, store: PeopleStore, kills: int) -> None:
    seen: set[str] = set()
    for attempt in range(kills):
        with writer(location, f"Attempt {attempt}", 10_000) as process:
            start(process)
            assert process.stdout
            seen |= {process.stdout.readline().rstrip("\n") for _ in range(random.Random(attempt).randint(5, 50))}
            process.kill()
            seen |= acknowledged(process)
    stored = names(store)
    assert seen <= stored.keys()
    assert set(stored.values()) == {2}
    assert len(stored) <= len(seen) + kills  # of each attempt, one may be stored whose acknowledgement was lost
    store.add_person("Somebody", [sample(1)])


def test_the_server_is_killed_and_started_again(postgresql: PostgresqlServer, database_url: str) -> None:
    store = PeopleStore(database_url, EMBEDDING)
    store.add_person("Ada", [sample(1)])
    added = {"Ada": 1}
    postgresql.kill()
    try:
        for attempt in range(2):
            with pytest.raises(StoreUnavailable) as lost:
                store.add_person(f"Lost {attempt}", [sample(2)])
            assert lost.value.reason
        with pytest.raises(StoreUnavailable):
            store.count_changes()
    finally:
        postgresql.start()
    store.add_person("Bob", [sample(2)])
    added["Bob"] = 1
    assert names(store) == added
    with pytest.raises(StoreUnavailable):
        restart_in_the_middle(store, postgresql)
    assert names(store) == added
    store.close()


@kills
def test_a_killed_server_loses_nothing_that_was_acknowledged(
    postgresql: PostgresqlServer, database_url: str, kills: int
) -> None:
    store = PeopleStore(database_url, EMBEDDING)
    with writer(database_url, "Person", 50 * kills) as process:
        start(process)
        assert process.stdout
        seen = set()
        for attempt in range(kills):
            seen |= {process.stdout.readline().rstrip("\n") for _ in range(random.Random(attempt).randint(5, 40))}
            postgresql.kill()
            postgresql.start()
        seen |= acknowledged(process)
    assert seen <= {f"Person {number}" for number in range(50 * kills)}
    assert len(seen) >= 49 * kills  # an acknowledgement may be lost, and the name is then taken
    assert names(store) == {f"Person {number}": 2 for number in range(50 * kills)}
    store.close()


def restart_in_the_middle(store: PeopleStore, server: PostgresqlServer) -> None:
    """Restart the server while a change is being made."""
    with store._database.write() as connection:
        connection.execute(text("UPDATE people SET name = 'half done' WHERE name = 'Ada'"))
        server.stop()
        server.start()


def test_a_writer_that_keeps_the_lock_is_waited_for_and_then_reported(location: str, store: PeopleStore) -> None:
    store.add_person("Ada", [sample(1)])
    other = PeopleStore(location, EMBEDDING)
    with store._database.write():
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            other.add_person("Bob", [sample(2)])
        assert 4 < time.monotonic() - begun < 15
        assert names(other) == {"Ada": 1}  # readers don't wait
    other.add_person("Bob", [sample(2)])
    other.close()


def test_a_reader_waits_only_so_long_for_a_lock_of_an_operator(database_url: str) -> None:
    store, operator = PeopleStore(database_url, EMBEDDING), PeopleStore(database_url, EMBEDDING)
    store.add_person("Ada", [sample(1)])
    with operator._database.write() as connection:
        connection.execute(text("LOCK TABLE people, gallery IN ACCESS EXCLUSIVE MODE"))
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.everybody()
        assert 4 < time.monotonic() - begun < 15
    assert names(store) == {"Ada": 1}
    store.close()
    operator.close()


def add_people(store: PeopleStore, count: int) -> None:
    for number in range(count):
        store.add_person(f"Person {number}", [sample(number)])


def test_a_full_disk_changes_nothing(file: Path) -> None:
    store = PeopleStore(file, EMBEDDING)
    store.add_person("Ada", [sample(1)])
    with no_file_larger_than(100_000), pytest.raises(StoreFull):
        add_people(store, 1000)
    stored = names(store)
    assert stored["Ada"] == 1
    assert len(stored) - 1 == store.count_changes() - 1 > 0
    store.add_person("Later", [sample(2)])
    assert names(store) == stored | {"Later": 1}
    store.close()


def test_a_full_disk_leaves_a_new_gallery_empty(file: Path) -> None:
    store = PeopleStore(file, EMBEDDING)
    with no_file_larger_than(0), pytest.raises(StoreFull):
        store.add_person("Ada", [sample(1)])
    assert names(store) == {}
    store.add_person("Ada", [sample(1)])
    assert names(store) == {"Ada": 1}
    store.close()


def test_a_database_that_reached_its_limit_says_so(file: Path) -> None:
    store = PeopleStore(file, EMBEDDING)
    store.add_person("Ada", [sample(1)])
    with store._database.read() as connection:  # for this connection, which the next change uses again
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    with pytest.raises(StoreFull):
        add_people(store, 100)
    assert "Ada" in names(store)
    store.close()


@pytest.mark.parametrize("deleted", ["gallery.sqlite", "gallery.sqlite*"], ids=["alone", "with the log"])
def test_a_file_that_is_deleted_is_made_anew(file: Path, deleted: str) -> None:
    store = PeopleStore(file, EMBEDDING)
    store.add_person("Ada", [sample(1)])
    for path in file.parent.glob(deleted):
        path.unlink()
    assert names(store) == {}
    store.add_person("Bob", [sample(2)])
    other = PeopleStore(file, EMBEDDING)
    assert names(other) == {"Bob": 1}
    other.close()
    store.close()


@pytest.fixture
def folder_of_another() -> Iterator[Path]:
    """A folder that `unprivileged` can read and not write."""
    folder = Path(tempfile.mkdtemp(prefix="facerec-people-"))
    yield folder
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o700)
    shutil.rmtree(folder)


@contextlib.contextmanager
def unprivileged(folder: Path, *, mode: int = 0o444) -> Iterator[None]:
    """Let the block see `folder` as one that can't be written, though the tests may run as root.

    Args:
        folder: of another user, if the tests run as root.
        mode: of what is in the folder.
    """
    for path in folder.iterdir():
        path.chmod(mode)
    folder.chmod(0o555)
    if root := os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_gallery_in_a_read_only_folder_is_read(folder_of_another: Path) -> None:
    file = folder_of_another / "gallery.sqlite"
    store = PeopleStore(file, EMBEDDING)
    ada = store.add_person("Ada", [sample(1)])
    store.close()
    with unprivileged(folder_of_another):
        store = PeopleStore(file, EMBEDDING)
        assert names(store) == {"Ada": 1}
        for _ in range(2):
            with pytest.raises(StoreNotWritable):
                store.add_person("Bob", [sample(2)])
        with pytest.raises(StoreNotWritable):
            store.delete_person(ada)
        assert names(store) == {"Ada": 1}
        store.close()


def test_without_a_folder_to_write_the_gallery_is_empty(folder_of_another: Path) -> None:
    with unprivileged(folder_of_another):
        for file in (folder_of_another / "gallery.sqlite", folder_of_another / "deeper" / "gallery.sqlite"):
            store = PeopleStore(file, EMBEDDING)
            assert names(store) == {}
            with pytest.raises(StoreNotWritable):
                store.add_person("Ada", [sample(1)])
            store.close()


def test_a_file_that_may_not_be_read_is_unavailable(folder_of_another: Path) -> None:
    file = folder_of_another / "gallery.sqlite"
    store = PeopleStore(file, EMBEDDING)
    store.add_person("Ada", [sample(1)])
    store.close()
    with unprivileged(folder_of_another):
        PeopleStore(file, EMBEDDING).close()
    with unprivileged(folder_of_another, mode=0o000), pytest.raises(StoreUnavailable):
        PeopleStore(file, EMBEDDING)


def test_a_folder_that_may_not_be_entered_is_unavailable(folder_of_another: Path) -> None:
    inner = folder_of_another / "inner"
    inner.mkdir(mode=0o700)
    with unprivileged(folder_of_another, mode=0o000), pytest.raises(StoreUnavailable):
        PeopleStore(inner / "gallery.sqlite", EMBEDDING)


def test_a_user_without_the_right_gets_a_typed_error(postgresql: PostgresqlServer, database_url: str) -> None:
    store = PeopleStore(database_url, EMBEDDING)
    store.add_person("Ada", [sample(1)])
    postgresql.execute("CREATE ROLE reader LOGIN PASSWORD 'r'")
    postgresql.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    reader = PeopleStore(postgresql.url("postgres", user="reader", password="r"), EMBEDDING)
    assert names(reader) == {"Ada": 1}
    with pytest.raises(StoreNotWritable):
        reader.add_person("Bob", [sample(2)])
    reader.close()
    store.close()


def test_a_file_that_is_no_gallery_is_refused(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"no database at all\n" * 1000)
    with pytest.raises(StoreDamaged):
        PeopleStore(file, EMBEDDING)


def test_a_database_of_something_else_is_refused(file: Path) -> None:
    file.parent.mkdir()
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE gallery (paintings)")
        other.commit()
    with pytest.raises(StoreDamaged):
        PeopleStore(file, EMBEDDING)


def test_a_damaged_file_gives_a_typed_error_or_an_answer(file: Path) -> None:
    store = PeopleStore(file, EMBEDDING)
    for number in range(200):
        store.add_person(f"Person {number}", [sample(number), sample(1000 + number)])
    store.close()
    whole = file.read_bytes()
    refused = 0
    for seed in range(60):
        chosen = random.Random(seed)
        damaged = bytearray(whole)
        for place in chosen.choices(range(len(whole)), k=chosen.choice([1, 30, 1000])):
            damaged[place] = chosen.randrange(256)
        file.write_bytes(damaged if seed % 4 else whole[: chosen.randrange(len(whole))])
        try:
            with contextlib.closing(PeopleStore(file, EMBEDDING)) as damaged_store:
                for person in damaged_store.changes_since(0).changed:
                    damaged_store.person(person.id)
                damaged_store.add_person("Somebody new", [sample(1)])
        except (StoreDamaged, StoreOfOtherModel, StoreOfOtherVersion):
            refused += 1
        for beside in file.parent.glob("gallery.sqlite-*"):
            beside.unlink()
    assert refused >= 15
