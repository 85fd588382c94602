"""The people in memory: templates, matching, and changes that others make."""

import threading
import time
from uuid import UUID

import numpy as np
import pytest

from facerec.people.gallery import Gallery, Known, Snapshot, most_similar
from facerec.people.samples import normalize, template
from facerec.people.store import PeopleStore
from tests.people.faces import EMBEDDING, sample, vector


def test_a_face_is_matched_with_the_people_it_resembles_most(store: PeopleStore) -> None:
    ids = {name: store.add_person(name, [sample(number)]) for number, name in enumerate(("Cy", "Ada", "Bob"))}
    snapshot = Gallery(store, {}).snapshot
    assert [(person.name, person.id) for person in snapshot.people] == sorted(ids.items())
    faces = np.stack([vector(2), vector(0)])
    expected = faces @ np.stack([vector(1), vector(2), vector(0)]).T
    assert np.allclose(snapshot.similarities(faces), expected, atol=1e-6)
    for most in (1, 2, 50):
        matches = snapshot.match(faces, most=most)
        assert [len(row) for row in matches] == [min(most, 3)] * 2
        assert [row[0].person.name for row in matches] == ["Bob", "Cy"]
        for row, similarities in zip(matches, expected, strict=True):
            assert [match.similarity for match in row] == pytest.approx(sorted(similarities)[::-1][:most], abs=1e-6)


def test_an_empty_gallery_matches_nobody(store: PeopleStore) -> None:
    snapshot = Gallery(store, {}).snapshot
    assert snapshot.people == ()
    assert snapshot.match(np.stack([vector(1), vector(2)]), most=5) == [[], []]
    assert snapshot.match(np.zeros((0, EMBEDDING.size), np.float32), most=5) == []
    assert snapshot.template("Ada") is None


def test_a_template_is_the_mean_of_the_samples(store: PeopleStore) -> None:
    ada = store.add_person("Ada", [sample(1), sample(2)])
    gallery = Gallery(store, {})
    store.add_samples(ada, [sample(3)])
    gallery.refresh()
    expected = template(np.stack([vector(1), vector(2), vector(3)]))
    found = gallery.snapshot.template("Ada")
    assert found is not None
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-6)
    assert np.linalg.norm(found) == pytest.approx(1)


def test_shipped_people_come_first_and_are_enrolled_by_their_names(store: PeopleStore) -> None:
    shipped = {"Zora_Hurston": vector(1), "Alan_Turing": vector(2)}
    turing = store.add_person("Alan Turing", [sample(3), sample(4)])
    bob = store.add_person("Bob", [sample(5)])
    snapshot = Gallery(store, shipped).snapshot
    assert snapshot.people == (
        Known("Zora Hurston", None, 0, shipped=True),
        Known("Alan Turing", turing, 2, shipped=True),
        Known("Bob", bob, 1, shipped=False),
    )
    both = normalize(vector(2) + vector(3) + vector(4))
    assert np.allclose(snapshot.templates, [vector(1), both, vector(5)], atol=1e-6)


def test_who_is_no_longer_enrolled_is_shipped_again(store: PeopleStore) -> None:
    turing = store.add_person("Alan Turing", [sample(3)])
    gallery = Gallery(store, {"Alan_Turing": vector(2)})
    store.delete_person(turing)
    assert gallery.refresh()
    assert gallery.snapshot.people == (Known("Alan Turing", None, 0, shipped=True),)
    assert np.allclose(gallery.snapshot.templates, [vector(2)], atol=1e-6)


def test_a_snapshot_stays_as_it_was(store: PeopleStore) -> None:
    ada = store.add_person("Ada", [sample(1)])
    gallery = Gallery(store, {})
    before = gallery.snapshot
    store.delete_person(ada)
    assert gallery.refresh()
    assert [person.name for person in before.people] == ["Ada"]
    assert before.match(vector(1)[None], most=1)[0][0].similarity == pytest.approx(1)
    assert gallery.snapshot.people == ()


def test_another_replica_sees_every_kind_of_change(location: str, store: PeopleStore) -> None:
    other = PeopleStore(location, EMBEDDING)
    gallery = Gallery(other, {})
    assert not gallery.refresh()

    def people() -> dict[str, int]:
        assert gallery.refresh()
        assert not gallery.refresh()
        fresh = Gallery(other, {}).snapshot
        assert fresh.people == gallery.snapshot.people
        assert np.allclose(fresh.templates, gallery.snapshot.templates, atol=1e-6)
        return {person.name: person.samples for person in gallery.snapshot.people}

    first = sample(1)
    ada = store.add_person("Ada", [first, sample(2)])
    assert people() == {"Ada": 2}
    bob = store.add_person("Bob", [sample(3)])
    store.move_sample(ada, first.id, bob)
    assert people() == {"Ada": 1, "Bob": 2}
    store.rename(ada, "Countess")
    assert people() == {"Bob": 2, "Countess": 1}
    store.merge(bob, into=ada)
    assert people() == {"Countess": 3}
    store.remove_sample(ada, first.id)
    assert people() == {"Countess": 2}
    store.delete_person(ada)
    assert people() == {}
    other.close()


def test_a_store_that_was_restored_from_a_backup_is_read_anew(store: PeopleStore) -> None:
    store.add_person("Ada", [sample(1)])
    for number in range(3):
        store.add_person(f"Later {number}", [sample(2 + number)])
    gallery = Gallery(store, {})
    with store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM people WHERE name LIKE 'Later%%'")
        connection.exec_driver_sql("UPDATE gallery SET changes = 1")
    assert gallery.refresh()
    assert [person.name for person in gallery.snapshot.people] == ["Ada"]


def test_a_store_with_changes_that_nobody_has_seen_is_read_anew(store: PeopleStore) -> None:
    ada = store.add_person("Ada", [sample(1)])
    gallery = Gallery(store, {})
    other = store.add_person("Other", [sample(2)])
    store.delete_person(ada)
    with store._database.write() as connection:  # as if "Other" had been there from the start
        connection.exec_driver_sql("UPDATE people SET changed = 1")
    assert gallery.refresh()
    assert [(person.name, person.id) for person in gallery.snapshot.people] == [("Other", other)]


def test_threads_match_while_the_gallery_changes(store: PeopleStore) -> None:
    store.add_person("Ada", [sample(1)])
    gallery = Gallery(store, {})
    done = threading.Event()
    failures: list[Snapshot] = []

    def match() -> None:
        while not done.is_set():
            snapshot = gallery.snapshot
            best = snapshot.match(vector(1)[None], most=1)[0][0]
            if best.person.name != "Ada" or len(snapshot.people) != len(snapshot.templates):
                failures.append(snapshot)
            time.sleep(0.001)

    threads = [threading.Thread(target=match) for _ in range(2)]
    for thread in threads:
        thread.start()
    added: list[UUID] = []
    for number in range(20):
        added.append(store.add_person(f"Person {number}", [sample(10 + number)]))
        gallery.refresh()
        if number % 3 == 0:
            store.delete_person(added.pop())
            gallery.refresh()
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(gallery.snapshot.people) == 1 + len(added)


def test_a_face_is_found_among_20_000_people_in_time() -> None:
    random = np.random.default_rng(0)
    templates = normalize(random.normal(size=(20_000, 128)).astype(np.float32))
    snapshot = Snapshot(tuple(Known(str(number), None, 5, shipped=False) for number in range(20_000)), templates)
    seconds = []
    for number in range(20):
        begun = time.perf_counter()
        matches = snapshot.match(templates[number][None], most=50)
        seconds.append(time.perf_counter() - begun)
        assert matches[0][0].person.name == str(number)
    assert min(seconds) < 0.02


@pytest.mark.parametrize("most", [1, 3, 7, 50])
def test_the_most_similar_come_first(most: int) -> None:
    similarities = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    expected = np.argsort(-similarities, axis=1)[:, :most]
    assert most_similar(similarities, most).tolist() == expected.tolist()
