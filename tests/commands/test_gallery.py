"""`facerec people list`, `remove`, `export` and `import`."""

from contextlib import closing
from pathlib import Path

import pytest

from facerec.people.samples import Embedding
from facerec.people.store import PeopleStore
from tests.commands.conftest import Command
from tests.people.faces import EMBEDDING, sample

NAMES = ["Ada", "Zo\u00eb Quinn", "../", "王 小明"]


@pytest.fixture
def people(gallery: Path) -> Path:
    """The gallery, with four people."""
    with closing(PeopleStore(gallery, EMBEDDING)) as store:
        for number, name in enumerate(NAMES):
            store.add_person(name, [sample(10 * number + each) for each in range(number + 1)])
    return gallery


def test_nobody_is_enrolled(facerec: Command, gallery: Path, tmp_path: Path) -> None:
    for command in (("list",), ("remove", "Ada"), ("export", tmp_path / "file")):
        done = facerec("people", *command)
        assert (done.code, done.out) == (1, [])
        assert done.err == [
            f"facerec: nobody is enrolled in {gallery}: `facerec people add FOLDER` enrols people",
        ]
    assert not gallery.parent.exists()


@pytest.mark.usefixtures("people")
def test_people_are_listed_by_name_and_removed(facerec: Command) -> None:
    done = facerec("people", "list")
    assert [line.rsplit(maxsplit=1) for line in done.out] == [
        ["name", "pictures"], ["../", "3"], ["Ada", "1"], ["Zo\u00eb Quinn", "2"], ["王 小明", "4"],
    ]  # fmt: skip
    assert facerec("people", "remove", "Zoe\u0308_Quinn").code == 0
    assert len(facerec("people", "list").out) == 4
    for name in ("Zo\u00eb Quinn", "ada", "", "\x1b[31m", "a" * 10_000):
        done = facerec("people", "remove", name)
        assert done.code == 1
        assert done.err[0].startswith("facerec: nobody is enrolled as ")
        assert len(done.err) == 1
        assert "\x1b" not in done.err[0]


@pytest.mark.usefixtures("people")
def test_export_and_import_move_people_between_galleries(facerec: Command, tmp_path: Path) -> None:
    file, other = tmp_path / "people.jsonl", ("--gallery", tmp_path / "other" / "people.sqlite")
    assert facerec("people", "export", file).out == [f"4 people with 10 pictures are in {file}."]
    assert file.stat().st_mode & 0o777 == 0o600
    with closing(PeopleStore(other[1], EMBEDDING)) as store:
        store.add_person("Ada", [sample(0), sample(77)])
    done = facerec("people", "import", file, *other)
    assert done.out == ["9 of 10 pictures of 4 people were added, the others were there already."]
    assert facerec("people", "list", *other).out[2].split() == ["Ada", "2"]
    assert facerec("people", "import", file, *other).out[0].startswith("0 of 10")


@pytest.mark.usefixtures("people")
def test_files_that_can_not_be_used_change_nothing(facerec: Command, tmp_path: Path, gallery: Path) -> None:
    file, other = tmp_path / "people.jsonl", tmp_path / "other.sqlite"
    facerec("people", "export", file)
    with closing(PeopleStore(other, Embedding("other", 8))) as store:
        store.add_person("Ada", [sample(0)])
    done = facerec("people", "import", file, "--gallery", other)
    assert done.code == 1
    assert "were enrolled with another model than the gallery's" in done.err[0]
    content = file.read_bytes()
    file.write_bytes(content[:-200])
    for path in (file, tmp_path / "gone", tmp_path, gallery):
        new = tmp_path / "new.sqlite"
        done = facerec("people", "import", path, "--gallery", new)
        assert (done.code, len(done.err)) == (1, 1)
        assert not new.exists()
    done = facerec("people", "export", tmp_path / "no" / "folder.jsonl")
    assert (done.code, len(done.err)) == (1, 1)
