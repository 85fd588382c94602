"""A gallery as a file, written and read, whatever the file holds."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.people import portable
from facerec.people.portable import PeopleFileError, read_people, write_people
from facerec.people.samples import Box, Embedding
from facerec.people.store import PeopleStore
from tests.people.faces import EMBEDDING, sample, vector


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A file with two people, who have two samples and one."""
    store = PeopleStore(tmp_path / "people.sqlite", EMBEDDING)
    store.add_person("Zo\u00eb Quinn", [sample(1), sample(2, box=Box(-3, 5, 70_000))])
    store.add_person("Ada", [sample(3)])
    write_people(tmp_path / "people.jsonl", EMBEDDING, store.everybody())
    store.close()
    return tmp_path / "people.jsonl"


def rewrite(exported: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the values of a file's lines."""
    lines = [json.loads(line) for line in exported.read_bytes().splitlines()]
    change(lines)
    exported.write_text("".join(json.dumps(line) + "\n" for line in lines))


def encoded(values: object) -> str:
    """An embedding as it stands in a file."""
    return base64.b64encode(np.asarray(values, "<f4").tobytes()).decode()


def test_all_comes_back_but_the_ids(exported: Path) -> None:
    embedding, people = read_people(exported)
    assert embedding == EMBEDDING
    assert {name: len(samples) for name, samples in people.items()} == {"Ada": 1, "Zo\u00eb Quinn": 2}
    given = {each.picture_sha256: each for each in (sample(1), sample(2, box=Box(-3, 5, 70_000)), sample(3))}
    for name in people:
        for read in people[name]:
            original = given[read.picture_sha256]
            assert np.array_equal(read.embedding, original.embedding)
            assert (read.quality, read.box) == (original.quality, original.box)
            assert abs((read.created - original.created).total_seconds()) < 10
            assert read.id != original.id


def test_an_empty_gallery_can_be_written_and_read(tmp_path: Path) -> None:
    write_people(tmp_path / "nobody.jsonl", EMBEDDING, [])
    assert read_people(tmp_path / "nobody.jsonl").people == {}


def test_only_its_owner_may_read_the_file_and_an_older_one_is_replaced(tmp_path: Path) -> None:
    (path := tmp_path / "people.jsonl").write_text("older")
    path.chmod(0o644)
    write_people(path, EMBEDDING, [])
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["people.jsonl"]


def test_a_file_that_can_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "no" / "file.jsonl", tmp_path / "folder"):
        with pytest.raises(PeopleFileError, match="can't write"):
            write_people(path, EMBEDDING, [])
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[0].update(version=2), "not written by"),
        (lambda lines: lines[0].update(format="x"), "not written by"),
        (lambda lines: lines[0].update(embedding_size=10**9), "not written by"),
        (lambda lines: lines[0].update(embedding_size=7), "line 2 .* has 8 values, not 7"),
        (lambda lines: lines[0].update(people=3), "not whole: it has 2 people, its first line says 3"),
        (lambda lines: lines.pop(), "not whole"),
        (lambda lines: lines.append(lines[1]), "not whole"),
        (lambda lines: lines.insert(2, {}), "line 3"),
        (lambda lines: lines[2].update(name="\x1b[31m"), "line 3 .* A name needs"),
        (lambda lines: lines[2].update(name="a" * 10_000), "line 3 .* at most 200"),
        (lambda lines: lines[2].update(samples=[]), "line 3"),
        (lambda lines: lines[2].update(extra=1), "line 3"),
        (lambda lines: lines[2]["samples"][0].update(embedding="%%%"), "line 3"),
        (lambda lines: lines[2]["samples"][0].update(embedding=encoded(vector(1)[:7])), "line 3 .* 7 values"),
        (lambda lines: lines[2]["samples"][0].update(embedding=encoded(vector(1) * 2)), "not of length 1"),
        (lambda lines: lines[2]["samples"][0].update(embedding=encoded([np.nan] * 8)), "not of length 1"),
        (lambda lines: lines[2]["samples"][0].update(embedding=encoded([np.inf] * 8)), "not of length 1"),
        (lambda lines: lines[2]["samples"][0].update(quality=float("nan")), "line 3"),
        (lambda lines: lines[2]["samples"][0].update(picture_sha256="../" + "0" * 61), "line 3"),
        (lambda lines: lines[2]["samples"][0].update(box=[1, 2, 2**40]), "line 3"),
        (lambda lines: lines[2]["samples"][0].update(created="2026-11-26T00:00:00"), "line 3"),
        (lambda lines: lines[2]["samples"][0].update(created="9999-12-31T23:59:59-12:00"), "line 3 .* out of range"),
        (lambda lines: lines[2]["samples"][0].update(created="0001-01-01T00:00:00+12:00"), "line 3 .* out of range"),
    ],
)
def test_a_file_with_anything_else_is_refused(
    exported: Path, change: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    rewrite(exported, change)
    with pytest.raises(PeopleFileError, match=message) as info:
        read_people(exported)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"\x00" * 100, b"PK\x03\x04", b"[" * 100_000, b'"\xff"', b"null\n"])
def test_bytes_of_any_other_kind_are_refused(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "file").write_bytes(content)
    with pytest.raises(PeopleFileError, match="not written by"):
        read_people(path)


def test_a_file_without_an_end_is_not_read_to_the_end(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PeopleFileError, match="larger than"):
        read_people(Path("/dev/zero"))
    monkeypatch.setattr(portable, "MAX_FILE_BYTES", exported.stat().st_size - 1)
    with pytest.raises(PeopleFileError, match="larger than"):
        read_people(exported)


def test_people_are_added_or_merged_by_name_all_or_none(location: str, store: PeopleStore, exported: Path) -> None:
    store.add_person("Ada", [sample(3), sample(9)])
    people = read_people(exported).people
    assert store.add_people(people) == 2
    assert {person.name: len(person.samples) for person in store.everybody()} == {"Ada": 2, "Zo\u00eb Quinn": 2}
    assert store.add_people(read_people(exported).people) == 0
    changes = store.count_changes()
    with pytest.raises(ValueError, match="shape"):
        store.add_people({"Bob": [sample(5)], "Eve": [replace(sample(6), embedding=vector(6)[:4])]})
    with pytest.raises(ValueError, match="needs a sample"):
        store.add_people({"Bob": [sample(5)], "Eve": []})
    assert store.count_changes() == changes
    other = PeopleStore(location, Embedding("toy", 8))
    assert other.find("Bob") is None
    other.close()
