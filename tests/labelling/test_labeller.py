import hashlib
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network
from pathlib import Path

import numpy as np
import psutil
import pytest

from facerec.inference.errors import WorkerFault
from facerec.inference.jobs import Answer, WorkerOptions
from facerec.inference.results import Trace
from facerec.labelling.found import FoundPicture
from facerec.labelling.labeller import Labeller
from facerec.labelling.matching import Matcher
from facerec.labelling.rows import label_schema
from facerec.labelling.sources import find_pictures
from facerec.pictures.errors import PoolFull
from facerec.pictures.fetch import Fetcher, FetchLimits
from tests.harness import photo, saved, wait_until
from tests.labelling.toy_archive import Reports, rows_of, toy_photo, write_archive


def test_a_row_has_all_that_is_known_of_a_face(labeller: Labeller, matcher: Matcher, tmp_path: Path) -> None:
    path = tmp_path / "two.png"
    path.write_bytes(saved(photo((48, 80, "red"), (208, 80, "gray"))))
    rows = rows_of(list(labeller.label(find_pictures(path, Reports()), matcher)))
    assert [row["face"] for row in rows] == [0, 1]
    first, second = sorted(rows, key=lambda row: str(row["identity"]), reverse=True)
    assert list(first) == labeller.schema.names
    assert (first["path"], first["bytes"]) == (str(path), path.stat().st_size)
    assert first["modified"] == path.stat().st_mtime_ns
    assert (first["width"], first["height"], first["turned"]) == (320, 160, 0)
    assert (first["left"], first["top"], first["box_width"], first["box_height"]) == (16, 48, 64, 64)
    assert first["score"] > 0.5
    assert len(first["landmarks"]) == 10
    assert 48 - 32 < first["landmarks"][0] < 48 + 32
    assert np.linalg.norm(first["embedding"]) == pytest.approx(1)
    assert (first["identity"], first["person_id"]) == ("Rosa Red", None)
    assert first["similarity"] > first["threshold"] == pytest.approx(0.8)
    assert first["similarity"] > first["runner_up_similarity"]
    assert 0.5 < first["probability"] <= 1
    assert first["model"] == labeller.models.recognizer_checksum
    assert (first["group"], first["error_code"], first["error_message"]) == (None, None, None)
    assert second["identity"] is None
    assert second["similarity"] < second["threshold"]


def test_a_picture_without_faces_has_one_row(labeller: Labeller, matcher: Matcher, tmp_path: Path) -> None:
    (tmp_path / "none.png").write_bytes(toy_photo(0))
    (row,) = rows_of(list(labeller.label(find_pictures(tmp_path, Reports()), matcher)))
    known = {"path", "sha256", "bytes", "modified", "width", "height", "turned", "model"}
    assert {name for name, value in row.items() if value is not None} == known


def test_a_broken_picture_is_a_row_with_an_error(labeller: Labeller, matcher: Matcher, tmp_path: Path) -> None:
    write_archive(tmp_path, 3)
    rows = rows_of(list(labeller.label(find_pictures(tmp_path, Reports()), matcher)))
    broken = rows[-1]
    known = {"path", "sha256", "bytes", "modified", "model", "error_code", "error_message"}
    assert {name for name, value in broken.items() if value is not None} == known
    assert broken["error_code"] == "unsupported_picture"
    assert [row["error_code"] for row in rows[:-1]] == [None] * 4  # 0, 1 and 2 faces


def test_pictures_that_can_not_be_read_are_rows(labeller: Labeller, matcher: Matcher, tmp_path: Path) -> None:
    gone, pipe, large = (tmp_path / name for name in ("gone.jpg", "pipe.jpg", "large.jpg"))
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(10**7 + 1)
    paths: list[str | Path] = [gone, pipe, large, "http://127.0.0.1/picture.jpg"]
    rows = {row["path"]: row for row in rows_of(list(labeller.label(find_pictures(paths, Reports()), matcher)))}
    assert {path: row["error_code"] for path, row in rows.items()} == {
        str(gone): "picture_gone",
        str(pipe): "picture_unreadable",
        str(large): "picture_too_large",
        "http://127.0.0.1/picture.jpg": "url_not_allowed",
    }
    assert all(row["sha256"] is None for row in rows.values())
    assert rows[str(large)]["bytes"] == 10**7 + 1


def test_a_look_up_that_finds_no_thread_is_a_row(
    labeller: Labeller, matcher: Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> bytes:
        raise PoolFull

    monkeypatch.setattr(Fetcher, "fetch", full)
    picture = FoundPicture("https://example.org/a.jpg", None, None)
    (row,) = rows_of(list(labeller.label([picture], matcher)))
    assert row["error_code"] == "fetch_timeout"


def test_pictures_are_taken_only_a_little_ahead(labeller: Labeller, matcher: Matcher, tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(toy_photo(1))
    taken = 0

    def endless() -> Iterator[FoundPicture]:
        nonlocal taken
        for taken in itertools.count(1):  # noqa: B007
            yield FoundPicture(str(path), path.stat().st_size, path.stat().st_mtime_ns)

    results = labeller.recognize(endless())
    for number in range(100):
        assert next(results).error is None
        assert taken <= number + 1 + 2 + 16
    results.close()  # type: ignore[attr-defined]
    assert rows_of(list(labeller.label(itertools.islice(endless(), 5), matcher)))  # the workers are free again


def test_a_picture_larger_than_the_memory_for_reading_ahead_is_read_alone(
    labeller: Labeller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labeller._budget, "_total", 100)
    archive = write_archive(tmp_path, 12)
    assert len(list(labeller.recognize(find_pictures(archive, Reports())))) == 13


def test_what_a_worker_could_not_do_is_told(
    labeller: Labeller, matcher: Matcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> Answer:
        return Answer(Trace(), error=WorkerFault("TypeError at pipeline.py:88"))

    monkeypatch.setattr(labeller._workers, "recognize", fail)
    (tmp_path / "a.png").write_bytes(toy_photo(1))
    (row,) = rows_of(list(labeller.label(find_pictures(tmp_path, Reports()), matcher)))
    assert row["error_code"] == "model_failed"
    assert "TypeError at pipeline.py:88" in row["error_message"]


def test_a_worker_that_is_killed_costs_at_most_its_picture(options: WorkerOptions, tmp_path: Path) -> None:
    archive = write_archive(tmp_path, 40)
    before = set(psutil.Process().children())
    with Labeller(options, workers=1) as labeller:
        (worker,) = set(psutil.Process().children()) - before
        results = labeller.recognize(find_pictures(archive, Reports()))
        errors = [next(results).error]
        worker.kill()
        errors += [result.error for result in results]
    codes = [error.code for error in errors if error]
    assert len(errors) == 41
    assert codes.count("worker_ended") <= 1
    assert "unsupported_picture" in codes
    wait_until(lambda: not set(psutil.Process().children()) - before)


def test_urls_are_fetched_from_networks_that_are_allowed(
    options: WorkerOptions, matcher: Matcher, tmp_path: Path
) -> None:
    write_archive(tmp_path, 2)
    with serving(tmp_path) as port:
        url = f"http://127.0.0.1:{port}"
        limits = FetchLimits(
            deadline=5,
            max_bytes=10**6,
            allowed_ports=frozenset({port}),
            allowed_networks=(IPv4Network("127.0.0.0/8"),),
        )
        paths = [f"{url}/000/0001.png", f"{url}/gone.png", f"{url}/broken.jpg"]
        with Labeller(options, workers=1, limits=limits) as labeller:
            rows = {row["path"]: row for row in rows_of(list(labeller.label(find_pictures(paths, Reports()), matcher)))}
    assert [rows[path]["error_code"] for path in paths] == [None, "upstream_status", "unsupported_picture"]
    first = rows[paths[0]]
    content = (tmp_path / "000" / "0001.png").read_bytes()
    assert (first["bytes"], first["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (first["modified"], first["identity"]) == (None, "Gustav Green")


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """A web server for a folder; gives its port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_the_schema_has_embeddings_of_fixed_size() -> None:
    schema = label_schema(128)
    assert schema.field("embedding").type.list_size == 128
    assert schema.field("landmarks").type.list_size == 10
    assert [field.name for field in schema if not field.nullable] == ["path"]
