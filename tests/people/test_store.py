"""The store: what each change does, in SQLite and in PostgreSQL."""

import traceback
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from facerec.people.errors import (
    AlreadyEnrolled,
    NameNotAllowed,
    NameTaken,
    StoreOfOtherModel,
    StoreOfOtherVersion,
    StoreUnavailable,
    UnknownPerson,
    UnknownSample,
)
from facerec.people.reader import stored_embedding
from facerec.people.samples import Box, Embedding, Sample
from facerec.people.store import PeopleStore
from tests.people.faces import EMBEDDING, sample, vector
from tests.people.postgresql_server import PostgresqlServer


def names(store: PeopleStore) -> dict[str, int]:
    """Everybody's name and number of samples."""
    return {person.name: len(person.embeddings) for person in store.changes_since(0).changed}


def test_people_and_samples_are_kept(location: str, store: PeopleStore) -> None:
    first, second = sample(1), sample(2, box=Box(-3, 5, 70_000))
    person_id = store.add_person("Zoe\u0308_Quinn", [first, second])
    again = PeopleStore(location, EMBEDDING)
    person = again.person(person_id)
    assert (person.id, person.name) == (person_id, "Zo\u00eb Quinn")
    assert again.find("Zo\u00eb Quinn") == person_id
    for kept, given in zip(person.samples, (first, second), strict=True):
        assert kept.embedding.dtype == np.float32
        assert np.array_equal(kept.embedding, given.embedding)
        assert (kept.id, kept.quality, kept.picture_sha256, kept.box) == (
            *(given.id, given.quality, given.picture_sha256, given.box),
        )
        assert abs(kept.created - given.created).total_seconds() < 1e-5
    assert stored_embedding(location) == EMBEDDING
    again.close()


def test_a_gallery_without_anybody_is_empty_and_makes_no_file(file: Path) -> None:
    store = PeopleStore(file, EMBEDDING)
    assert store.count_changes() == 0
    assert names(store) == {}
    assert store.find("Ada") is None
    assert stored_embedding(file) is None
    with pytest.raises(UnknownPerson):
        store.person(uuid4())
    assert not file.parent.exists()
    store.close()


def test_an_empty_database_is_an_empty_gallery(store: PeopleStore) -> None:
    assert store.count_changes() == 0
    assert names(store) == {}


def test_the_file_is_for_its_owner_alone(file: Path) -> None:
    store = PeopleStore(file, EMBEDDING)
    store.add_person("Ada", [sample(1)])
    assert {path.stat().st_mode & 0o777 for path in file.parent.iterdir()} == {0o600}
    store.close()


def test_a_name_is_taken_once(store: PeopleStore) -> None:
    ada = store.add_person("Ada Byron", [sample(1)])
    for name in ("Ada Byron", "Ada_Byron", " Ada Byron"):
        with pytest.raises(NameTaken) as taken:
            store.add_person(name, [sample(2)])
        assert taken.value.person_id == ada
    store.add_person("ada byron", [sample(2)])
    assert names(store) == {"Ada Byron": 1, "ada byron": 1}


@pytest.mark.parametrize("name", ["../../gallery", "'; DROP TABLE people; --", "%(name)s ?", "\U0001f600" * 200])
def test_odd_names_are_names(store: PeopleStore, name: str) -> None:
    person_id = store.add_person(name, [sample(1)])
    assert store.person(person_id).name == name


@pytest.mark.parametrize("name", ["", "x" * 10_000, "a\0b", "a\nb", "\ud800"])
def test_names_that_are_not_allowed_change_nothing(store: PeopleStore, name: str) -> None:
    ada = store.add_person("Ada", [sample(1)])
    before = store.count_changes()
    for change in (lambda: store.add_person(name, [sample(2)]), lambda: store.rename(ada, name)):
        with pytest.raises(NameNotAllowed):
            change()
    assert store.count_changes() == before
    assert names(store) == {"Ada": 1}


def test_a_face_is_enrolled_once_for_a_person_and_a_group_photo_for_many(store: PeopleStore) -> None:
    ada = store.add_person("Ada", [sample(1)])
    with pytest.raises(AlreadyEnrolled):
        store.add_samples(ada, [sample(2), sample(1)])
    with pytest.raises(AlreadyEnrolled):
        store.add_person("Bob", [sample(3), sample(3)])
    assert names(store) == {"Ada": 1}
    store.add_samples(ada, [sample(1, box=Box(90, 20, 30))])
    store.add_person("Bob", [sample(1)])
    assert names(store) == {"Ada": 2, "Bob": 1}


def test_a_sample_is_removed_and_the_person_with_the_last(store: PeopleStore) -> None:
    first, second = sample(1), sample(2)
    ada = store.add_person("Ada", [first, second])
    with pytest.raises(UnknownSample):
        store.remove_sample(ada, uuid4())
    store.remove_sample(ada, first.id)
    assert [kept.id for kept in store.person(ada).samples] == [second.id]
    store.remove_sample(ada, second.id)
    with pytest.raises(UnknownPerson):
        store.person(ada)
    assert names(store) == {}


def test_a_sample_is_moved(store: PeopleStore) -> None:
    first, second = sample(1), sample(2)
    ada, bob = store.add_person("Ada", [first, second]), store.add_person("Bob", [sample(1)])
    with pytest.raises(AlreadyEnrolled):
        store.move_sample(ada, first.id, bob)
    with pytest.raises(UnknownSample):
        store.move_sample(bob, first.id, ada)
    store.move_sample(ada, first.id, ada)
    assert names(store) == {"Ada": 2, "Bob": 1}
    store.move_sample(ada, second.id, bob)
    assert names(store) == {"Ada": 1, "Bob": 2}
    (same_face,) = (kept for kept in store.person(bob).samples if kept.picture_sha256 == first.picture_sha256)
    store.remove_sample(bob, same_face.id)
    store.move_sample(ada, first.id, bob)
    assert names(store) == {"Bob": 2}


def test_a_person_is_renamed(store: PeopleStore) -> None:
    ada, bob = store.add_person("Ada", [sample(1)]), store.add_person("Bob", [sample(2)])
    with pytest.raises(NameTaken) as taken:
        store.rename(ada, "Bob")
    assert taken.value.person_id == bob
    store.rename(ada, "Ada")
    store.rename(ada, "Ada_Lovelace")
    assert store.person(ada).name == "Ada Lovelace"
    assert names(store) == {"Ada Lovelace": 1, "Bob": 1}


def test_two_people_are_merged_and_the_same_face_is_kept_once(store: PeopleStore) -> None:
    ada = store.add_person("Ada", [sample(1), sample(2)])
    other = store.add_person("Countess", [sample(2), sample(3)])
    store.merge(ada, into=ada)
    assert names(store) == {"Ada": 2, "Countess": 2}
    store.merge(other, into=ada)
    assert names(store) == {"Ada": 3}
    assert {kept.picture_sha256 for kept in store.person(ada).samples} == {
        sample(number).picture_sha256 for number in (1, 2, 3)
    }
    with pytest.raises(UnknownPerson):
        store.merge(other, into=ada)


def test_a_person_is_deleted(store: PeopleStore) -> None:
    ada, bob = store.add_person("Ada", [sample(1)]), store.add_person("Bob", [sample(2)])
    store.delete_person(ada)
    assert names(store) == {"Bob": 1}
    with pytest.raises(UnknownPerson):
        store.delete_person(ada)
    store.add_person("Ada", [sample(1)])
    store.delete_person(bob)
    assert names(store) == {"Ada": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda store, nobody: store.add_samples(nobody, [sample(2)]),
        lambda store, nobody: store.remove_sample(nobody, uuid4()),
        lambda store, nobody: store.move_sample(nobody, uuid4(), store.find("Ada")),
        lambda store, nobody: store.move_sample(store.find("Ada"), uuid4(), nobody),
        lambda store, nobody: store.rename(nobody, "Bob"),
        lambda store, nobody: store.merge(nobody, store.find("Ada")),
        lambda store, nobody: store.merge(store.find("Ada"), nobody),
        lambda store, nobody: store.delete_person(nobody),
    ],
)
def test_changes_of_somebody_who_is_not_there_change_nothing(
    store: PeopleStore, change: Callable[[PeopleStore, UUID], None]
) -> None:
    store.add_person("Ada", [sample(1)])
    with pytest.raises(UnknownPerson):
        change(store, uuid4())
    assert store.count_changes() == 1
    assert names(store) == {"Ada": 1}


def test_changes_are_told_since_a_state(store: PeopleStore) -> None:
    ada, bob = store.add_person("Ada", [sample(1)]), store.add_person("Bob", [sample(2)])
    assert [person.id for person in store.changes_since(1).changed] == [bob]
    store.add_samples(ada, [sample(3)])
    store.delete_person(bob)
    changes = store.changes_since(2)
    assert changes.total == 4
    (changed,) = changes.changed
    assert (changed.id, changed.name) == (ada, "Ada")
    assert sorted(changed.embeddings.tolist()) == sorted([vector(1).tolist(), vector(3).tolist()])
    assert list(changes.ids) == [ada]
    assert store.changes_since(4).changed == []


def test_embeddings_belong_to_their_people(store: PeopleStore) -> None:
    for number in range(30):
        store.add_person(f"Person {number}", [sample(number)] + [sample(100 + number)] * (number % 2))
    for person in store.changes_since(0).changed:
        number = int(person.name.split()[1])
        expected = [vector(number), vector(100 + number)][: 1 + number % 2]
        assert sorted(person.embeddings.tolist()) == sorted(one.tolist() for one in expected)


def test_samples_of_another_shape_and_people_without_samples_are_faults_of_the_caller(store: PeopleStore) -> None:
    with pytest.raises(ValueError, match="8 values"):
        store.add_person("Ada", [Sample(np.ones(4, np.float32), 1, "0" * 64, Box(1, 2, 3))])
    with pytest.raises(ValueError, match="needs a sample"):
        store.add_person("Ada", [])
    assert names(store) == {}


@pytest.mark.parametrize("other", [Embedding("another", EMBEDDING.size), Embedding(EMBEDDING.id, 16)])
def test_a_gallery_of_another_model_is_refused(location: str, store: PeopleStore, other: Embedding) -> None:
    early = PeopleStore(location, other)  # while nobody is enrolled, the gallery is any model's
    store.add_person("Ada", [sample(1)])
    with pytest.raises(StoreOfOtherModel, match="facerec people add"):
        PeopleStore(location, other)
    with pytest.raises(StoreOfOtherModel):
        early.count_changes()
    with pytest.raises(StoreOfOtherModel):
        early.add_person("Bob", [Sample(np.ones(other.size, np.float32), 1, "0" * 64, Box(1, 2, 3))])
    early.close()
    assert names(store) == {"Ada": 1}


def test_a_gallery_of_another_version_is_refused(location: str, store: PeopleStore) -> None:
    store.add_person("Ada", [sample(1)])
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE gallery SET schema_version = 99")
    with pytest.raises(StoreOfOtherVersion):
        PeopleStore(location, EMBEDDING)
    with pytest.raises(StoreOfOtherVersion):
        store.add_person("Bob", [sample(2)])


@pytest.mark.parametrize(
    "location",
    [
        "postgresql://u:secret@host/db",
        "sqlite:///people.sqlite",
        "mysql://u:secret@host/db",
        "://secret",
        "a b://secret",
    ],
)
def test_other_urls_are_refused_without_showing_them(location: str) -> None:
    with pytest.raises(ValueError, match="postgresql\\+psycopg://USER:PASSWORD") as refused:
        PeopleStore(location, EMBEDDING)
    assert "secret" not in str(refused.value)


def test_nothing_is_left_of_a_deleted_person_in_the_files(file: Path) -> None:
    store = PeopleStore(file, EMBEDDING)
    kept = store.add_person("Somebody else", [sample(number) for number in range(50)])
    gone = sample(99)
    ada = store.add_person("Ada Lovelace", [gone])
    store.rename(ada, "Countess of Lovelace")
    traces = [b"Ada Lovelace", b"Countess of Lovelace", gone.embedding.tobytes(), gone.picture_sha256.encode()]
    assert [trace in contents(file) for trace in traces] == [False, True, True, True]
    store.delete_person(ada)
    assert not any(trace in contents(file) for trace in traces)
    assert len(store.person(kept).samples) == 50
    store.close()


def contents(file: Path) -> bytes:
    """The bytes of the database file and of the files beside it."""
    return b"".join(path.read_bytes() for path in sorted(file.parent.iterdir()))


def test_a_password_is_in_no_message(postgresql: PostgresqlServer) -> None:
    wrong = postgresql.url("postgres", password="wr0ng-s3cret")
    with pytest.raises(StoreUnavailable) as refused:
        PeopleStore(wrong, EMBEDDING)
    assert "password authentication failed" in refused.value.reason
    assert "wr0ng" not in refused.value.reason + "".join(traceback.format_exception(refused.value))
