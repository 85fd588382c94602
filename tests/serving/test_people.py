"""People of one's own over HTTP: enrol, recognize, correct, verify, forget."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from facerec.serving import people_service
from facerec.serving.people_schemas import MAX_PICTURES
from facerec.serving.settings import Settings
from tests.harness import data_url, photo, picture, saved, wait_until
from tests.serving.conftest import Service
from tests.serving.people_api import BOX, KEY, Api, portrait
from tests.toy_model import TOY_NAMES, TOY_THRESHOLD

ROSA, GUSTAV, BELLA = TOY_NAMES


@pytest.fixture
def settings(model: Path) -> Settings:
    return Settings.model_validate({"model": model, "api_key": "right", "framing": "auto"})


@pytest.fixture
def api(serve: Service, settings: Settings) -> Api:
    return Api(serve(settings))


def assert_problem(answer: requests.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


# Enrolling


def test_a_person_is_enrolled_and_named_and_forgotten(api: Api) -> None:
    assert api.recognized(portrait("yellow"))["identity"] is None
    person = api.enrolled("Yasmin_Yellow", portrait("yellow"), portrait("yellow", mark=1))
    assert (person["name"], person["refused"]) == ("Yasmin Yellow", [])
    assert [(each["box"], each["sha256"]) for each in person["samples"]] == [
        (BOX, sha256(portrait("yellow", mark=mark)).hexdigest()) for mark in (0, 1)
    ]
    assert all(0 < each["quality"] <= 1 for each in person["samples"])
    assert api.ask("GET", f"/people/{person['id']}").json() == person
    face = api.recognized(portrait("yellow"))["faces"][0]
    assert (face["identity"], face["person_id"]) == ("Yasmin Yellow", person["id"])
    assert next(iter(face["predictions"])) == face["top_class"] == "Yasmin Yellow"
    assert sum(face["predictions"].values()) == pytest.approx(1, abs=1e-4)
    assert api.ask("DELETE", f"/people/{person['id']}").status_code == 204
    assert_problem(api.ask("GET", f"/people/{person['id']}"), 404, "unknown_person")
    assert api.recognized(portrait("yellow"))["identity"] is None
    assert api.recognized(portrait("yellow"))["person_id"] is None


def test_a_form_takes_files_and_urls(api: Api) -> None:
    answer = api.ask(
        "POST",
        "/people",
        data={"name": "Zoë", "pictures": [data_url(portrait("yellow", mark=1))], "force": "false"},
        files=[("pictures", ("a.png", portrait("yellow"))), ("pictures", ("b.png", b"no picture"))],
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] == "Zoë"
    assert len(answer.json()["samples"]) == 2
    (refused,) = answer.json()["refused"]
    assert refused["code"] == "unsupported_picture"
    samples = f"/people/{answer.json()['id']}/samples"
    form = {"pictures": ("c.png", saved(photo((48, 80, "yellow"), (240, 80, "yellow"))))}
    assert_problem(api.ask("POST", samples, files=form), 422, "several_faces")
    no_json = api.ask("POST", samples, files=form, data={"box": "205,50,66,60"})
    assert_problem(no_json, 422, "invalid_request")
    assert no_json.json()["detail"] == "body.box: this is not JSON"
    answer = api.ask("POST", samples, files=form, data={"box": "[205, 50, 66, 60]"})
    assert answer.json()["samples"][2]["box"] == [208, 48, 64, 64]


def test_people_of_the_model_are_told_apart_and_gain_by_samples(api: Api) -> None:
    assert [*api.known()] == [ROSA, GUSTAV, BELLA]
    rosa = api.enrolled("Rosa_Red", portrait("red"))
    yasmin = api.enrolled("Ähnlich", portrait("yellow"))
    known = api.known()
    assert [*known] == [ROSA, GUSTAV, BELLA, "Ähnlich"]
    assert known[ROSA] == {
        "name": ROSA, "id": rosa["id"], "samples": 1, "shipped": True,
        "training_images": 20, "test_images": 5, "test_recall": 0.8,
    }  # fmt: skip
    assert known["Ähnlich"] == {
        "name": "Ähnlich", "id": yasmin["id"], "samples": 1, "shipped": False,
        "training_images": None, "test_images": None, "test_recall": None,
    }  # fmt: skip
    assert api.recognized(portrait("red"))["person_id"] == rosa["id"]
    assert api.recognized(portrait("lime"))["person_id"] is None
    api.ask("DELETE", f"/people/{rosa['id']}")
    assert api.recognized(portrait("red"))["identity"] == ROSA


def test_the_people_of_the_model_can_be_left_out(serve: Service, settings: Settings) -> None:
    api = Api(serve(settings.model_copy(update={"shipped_people": False})))
    assert api.known() == {}
    answer = api.recognized(portrait("red"))
    assert {name: answer[name] for name in ("identity", "similarity", "top_class", "top_score", "predictions")} == {
        "identity": None, "similarity": None, "top_class": None, "top_score": None, "predictions": {},
    }  # fmt: skip
    assert answer["threshold"] == TOY_THRESHOLD
    api.enrolled("Somebody", portrait("red"))
    assert api.recognized(portrait("red"))["predictions"] == {"Somebody": 1}


def test_fifty_of_many_people_are_listed_unless_more_are_asked_for(api: Api) -> None:
    for number in range(57):
        api.enrolled(f"Person {number}", portrait("yellow"), force=True)
    for fields, count in (({}, 50), ({"top_k": 60}, 60), ({"top_k": 999}, 60), ({"top_k": 2}, 2)):
        assert len(api.recognized(portrait("red"), **fields)["predictions"]) == count


@pytest.mark.parametrize(
    ("pictures", "code", "status"),
    [
        ([picture()], "no_face", 422),
        ([saved(photo((48, 80, "yellow"), (240, 80, "yellow")))], "several_faces", 422),
        ([b"no picture"], "unsupported_picture", 415),
        ([portrait("red")], "like_another_person", 422),
        ([picture(), b"no picture"], "pictures_refused", 422),
    ],
)
def test_pictures_that_are_not_good_enough_are_refused(
    api: Api, pictures: list[bytes], code: str, status: int, log: list[str]
) -> None:
    answer = api.enrol("Rudi", *pictures)
    assert_problem(answer, status, code)
    if code == "pictures_refused":
        assert "picture 0: no_face: " in answer.json()["detail"]
        assert "picture 1: unsupported_picture: " in answer.json()["detail"]
    if code == "like_another_person":
        assert "very like Rosa Red." in answer.json()["detail"]
        api.enrolled("Rudi", *pictures, force=True)
    else:
        assert "Rudi" not in api.known()
    assert json.loads(log[0])["outcome"] == code
    assert "Ros" not in "".join(log)
    assert "Rudi" not in "".join(log)


def test_a_picture_unlike_the_others_is_refused_and_the_rest_enrolled(api: Api) -> None:
    person = api.enrolled("Yasmin", *(portrait("yellow", mark=mark) for mark in range(3)), portrait("blue"))
    assert [(each["picture"], each["code"]) for each in person["refused"]] == [(3, "like_another_person")]
    samples = f"/people/{person['id']}/samples"
    answer = api.ask("POST", samples, json={"pictures": [data_url(portrait("#0ff"))]})
    assert_problem(answer, 422, "unlike_person")
    answer = api.ask("POST", samples, json={"pictures": [data_url(portrait("#0ff"))], "force": True})
    assert len(answer.json()["samples"]) == 4
    answer = api.ask("POST", samples, json={"pictures": [data_url(portrait("yellow"))]})
    assert_problem(answer, 409, "already_enrolled")


def test_twenty_pictures_find_slots_in_a_small_service(serve: Service, settings: Settings) -> None:
    api = Api(serve(settings.model_copy(update={"workers": 1, "max_waiting": 1})))
    person = api.enrolled("Yasmin", *(portrait("yellow", mark=mark) for mark in range(MAX_PICTURES)))
    assert len(person["samples"]) == MAX_PICTURES
    for count in (0, MAX_PICTURES + 1):
        assert_problem(api.enrol("Many", *[portrait("yellow")] * count), 422, "invalid_request")
    assert_problem(api.enrol("Two", *[portrait("yellow")] * 2, box=BOX), 422, "invalid_request")


HOSTILE_NAMES = ["", " ", "a" * 201, "a" * 100_000, "line\nbreak", "nul\0", "\u202e", "_", "\u0301" * 100]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=map(str, range(len(HOSTILE_NAMES))))
def test_a_name_that_can_not_be_is_refused_everywhere(api: Api, name: str) -> None:
    assert_problem(api.enrol(name, portrait("yellow")), 422, "name_not_allowed")
    form = {"files": {"pictures": portrait("yellow")}, "data": {"name": name}}
    assert_problem(api.ask("POST", "/people", **form), 422, "name_not_allowed")
    person = api.enrolled("../Ada <b>", portrait("yellow"))
    assert person["name"] == "../Ada <b>"
    assert_problem(api.ask("PATCH", f"/people/{person['id']}", json={"name": name}), 422, "name_not_allowed")


def test_bodies_that_are_neither_json_nor_a_form_are_refused(api: Api) -> None:
    for path in ("/people", f"/people/{uuid4()}/samples", "/verify", "/embeddings"):
        for content_type, body in (
            ("text/plain", b"{}"),
            ("application/json", b"{"),
            ("application/json", b"[]"),
            ("application/json", b'{"name": "\\ud800SECRET"}'),
            ("application/json", b'{"SECRET": 1}'),
            ("multipart/form-data; boundary=b0", b"SECRET"),
            (
                "multipart/form-data; boundary=b0",
                b'--b0\r\nContent-Disposition: form-data; name="SECRET"\r\n\r\n\r\n--b0--',
            ),
        ):
            headers = {**KEY, "Content-Type": content_type}
            answer = requests.post(api.address + path, data=body, headers=headers, timeout=9)
            assert_problem(answer, 422, "invalid_request")
            assert "SECRET" not in answer.text
    twice = api.ask("POST", "/people", data={"name": ["a", "b"]}, files={"pictures": portrait("yellow")})
    assert "body.name: the form holds this field more than once" in twice.json()["detail"]
    no_file = api.ask("POST", "/embeddings", files={"file": (None, "no file")})
    assert "body.file: this is not a file: send one with a file name" in no_file.json()["detail"]
    no_id = api.ask("GET", "/people/%3Cscript")
    assert "path.person_id: this is not an id" in no_id.json()["detail"]
    assert "<" not in no_id.json()["detail"]


# Correcting


def test_samples_are_moved_and_removed(api: Api) -> None:
    yasmin = api.enrolled("Yasmin", portrait("yellow"), portrait("yellow", mark=1))
    cyril = api.enrolled("Cyril", portrait("#0ff"))
    first, second = (f"/people/{yasmin['id']}/samples/{each['id']}" for each in yasmin["samples"])
    assert api.ask("PATCH", first, json={"person": cyril["id"]}).status_code == 204
    assert len(api.ask("GET", f"/people/{cyril['id']}").json()["samples"]) == 2
    assert_problem(api.ask("PATCH", first, json={"person": cyril["id"]}), 404, "unknown_sample")
    assert_problem(api.ask("PATCH", second, json={"person": str(uuid4())}), 404, "unknown_person")
    assert api.ask("DELETE", second).status_code == 204
    assert "Yasmin" not in api.known()  # that was the last one
    assert_problem(api.ask("DELETE", second), 404, "unknown_person")


def test_a_person_is_renamed_or_merged(api: Api) -> None:
    yasmin = api.enrolled("Yasmin", portrait("yellow"))
    cyril = api.enrolled("Cyril", portrait("#0ff"))
    answer = api.ask("PATCH", f"/people/{yasmin['id']}", json={"name": "Zoë"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Zoë")
    taken = api.ask("PATCH", f"/people/{yasmin['id']}", json={"name": "Cyril"})
    assert_problem(taken, 409, "name_taken")
    assert f"POST /people/{cyril['id']}/samples" in taken.json()["detail"]
    assert_problem(api.enrol("Cyril", portrait("#0ff", mark=2), force=True), 409, "name_taken")
    merged = api.ask("PATCH", f"/people/{yasmin['id']}", json={"name": "Cyril", "merge": True})
    assert (merged.status_code, merged.json()["id"], len(merged.json()["samples"])) == (200, cyril["id"], 2)
    assert [*api.known()][3:] == ["Cyril"]
    assert_problem(api.ask("PATCH", f"/people/{yasmin['id']}", json={"name": "Zoë"}), 404, "unknown_person")
    assert_problem(api.ask("PATCH", "/people/1", json={"name": "Zoë"}), 422, "invalid_request")


def test_a_body_of_a_change_is_limited_like_others(api: Api) -> None:
    person = api.enrolled("Yasmin", portrait("yellow"))
    headers = {**KEY, "Content-Type": "application/json"}
    answer = requests.patch(f"{api.address}/people/{person['id']}", data=bytes(20_000_000), headers=headers, timeout=9)
    assert_problem(answer, 413, "request_too_large")


# Comparing


def test_two_pictures_are_compared(api: Api) -> None:
    pictures = {"first": data_url(portrait("yellow")), "second": data_url(portrait("#ee0"))}
    answer = api.ask("POST", "/verify", json=pictures).json()
    assert (answer["same_person"], answer["threshold"], answer["false_accept_rate"]) == (True, TOY_THRESHOLD, 0.01)
    assert (answer["similarity"], answer["boxes"]) == (pytest.approx(1, abs=1e-3), [BOX, BOX])
    files = {"first": portrait("yellow"), "second": portrait("blue", x=240)}
    answer = api.ask("POST", "/verify", files=files).json()
    assert (answer["same_person"], answer["boxes"][1]) == (False, [208, 48, 64, 64])
    assert api.known().keys() == set(TOY_NAMES)  # nobody was enrolled


def test_a_picture_is_compared_with_a_person(api: Api) -> None:
    yasmin = api.enrolled("Yasmin", portrait("yellow"))
    for colour, same in (("yellow", True), ("blue", False)):
        for arguments in (
            {"json": {"first": data_url(portrait(colour)), "person": yasmin["id"]}},
            {"files": {"first": portrait(colour)}, "data": {"person": yasmin["id"]}},
        ):
            answer = api.ask("POST", "/verify", **arguments)
            assert (answer.json()["same_person"], len(answer.json()["boxes"])) == (same, 1), answer.text
    url = data_url(portrait("yellow"))
    assert_problem(api.ask("POST", "/verify", json={"first": url, "person": str(uuid4())}), 404, "unknown_person")
    assert_problem(api.ask("POST", "/verify", json={"first": url}), 422, "invalid_request")
    assert_problem(
        api.ask("POST", "/verify", json={"first": url, "second": url, "person": yasmin["id"]}), 422, "invalid_request"
    )
    assert_problem(api.ask("POST", "/verify", json={"first": url, "second": data_url(picture())}), 422, "no_face")


def test_each_face_has_its_embedding(api: Api) -> None:
    data = saved(photo((176, 80, "red"), (48, 80, "lime")))
    for arguments in ({"json": {"url": data_url(data)}}, {"files": {"file": data}}):
        answer = api.ask("POST", "/embeddings", **arguments).json()
        red, green = answer["faces"]
        assert answer["embedding_id"] == api.ask("GET", "/model").json()["sha256"]  # the toy names no embedding
        assert (red["box"], red["score"], len(red["landmarks"])) == ([144, 48, 64, 64], 1, 5)
        assert (red["embedding"][0] > 0.9, green["embedding"][1] > 0.9) == (True, True)
    assert_problem(api.ask("POST", "/embeddings", files={"file": picture()}), 422, "no_face")


# Who may


def changes(address: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every call that changes the gallery."""
    person, other = f"{address}/people/{uuid4()}", f"{address}/people/{uuid4()}/samples/{uuid4()}"
    yield "POST", f"{address}/people", {"json": {"name": "Yasmin", "pictures": [data_url(portrait("yellow"))]}}
    yield "POST", f"{person}/samples", {"files": {"pictures": portrait("yellow")}}
    yield "PATCH", person, {"json": {"name": "Yasmin"}}
    yield "DELETE", person, {}
    yield "PATCH", other, {"json": {"person": str(uuid4())}}
    yield "DELETE", other, {}


def test_without_a_key_nobody_enrols(serve: Service, model: Path) -> None:
    address = serve(Settings(model=model))
    for method, url, body in changes(address):
        answer = requests.request(method, url, timeout=9, **body)
        assert_problem(answer, 403, "key_required_to_enrol")
        assert "API_KEY" in answer.json()["detail"]
    assert requests.get(f"{address}/people", timeout=9).status_code == 200
    assert "403" in requests.get(f"{address}/openapi.json", timeout=9).json()["paths"]["/people"]["post"]["responses"]


def test_with_a_wrong_key_nobody_enrols_or_learns_names(api: Api) -> None:
    api.enrolled("Yasmin", portrait("yellow"))
    reads: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("GET", f"{api.address}/people", {}),
        ("GET", f"{api.address}/people/{api.known()['Yasmin']['id']}", {}),
        ("POST", f"{api.address}/verify", {"json": {}}),
        ("POST", f"{api.address}/embeddings", {"json": {}}),
    )
    for method, url, body in (*changes(api.address), *reads):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = requests.request(method, url, headers=headers, timeout=9, **body)
            assert_problem(answer, 401, "unauthorized")


# At the same time


def test_of_two_requests_that_add_the_same_name_one_wins(api: Api) -> None:
    with ThreadPoolExecutor(2) as pool:
        for number in range(10):
            calls = [
                pool.submit(api.enrol, f"Person {number}", portrait("yellow", mark=mark), force=True) for mark in (0, 1)
            ]
            assert sorted(call.result().status_code for call in calls) == [201, 409]
    assert [person["samples"] for person in api.known().values() if person["id"]] == [1] * 10


def test_people_come_and_go_while_pictures_are_answered(api: Api) -> None:
    over = threading.Event()

    def recognize() -> set[str | None]:
        found = set()
        while not over.is_set():
            answer = api.recognized(portrait("yellow"))
            assert (answer["identity"] is None) == (answer["person_id"] is None)
            found.add(answer["identity"])
        return found

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(recognize) for _ in range(2)]
        for mark in range(8):
            person = api.enrolled("Yasmin", portrait("yellow", mark=mark))
            api.recognized(portrait("yellow"))
            assert api.ask("DELETE", f"/people/{person['id']}").status_code == 204
        over.set()
        assert set().union(*(each.result() for each in asked)) <= {None, "Yasmin"}


# The store


def test_a_gallery_that_can_not_be_read_any_more_is_served_from_memory(
    serve: Service, settings: Settings, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_service, "_REFRESH_SECONDS", 0.1)
    api = Api(serve(settings))
    person = api.enrolled("Yasmin", portrait("yellow"))
    file = Path(settings.gallery)
    kept = file.parent.rename(file.parent.with_name("kept"))
    file.parent.mkdir()
    file.write_bytes(b"this is not a database" * 100)
    wait_until(lambda: any('"gallery"' in line for line in log))
    assert api.recognized(portrait("yellow"))["identity"] == "Yasmin"
    assert requests.get(f"{api.address}/readyz", timeout=9).status_code == 200
    assert_problem(api.enrol("Other", portrait("#0ff")), 500, "gallery_damaged")
    threading.Event().wait(0.5)
    assert len([line for line in log if '"logger": "gallery"' in line]) == 1  # not a line a look
    file.unlink()
    file.parent.rmdir()
    kept.rename(file.parent)
    wait_until(lambda: "read again" in "".join(log))
    assert api.ask("GET", f"/people/{person['id']}").status_code == 200
    assert "Yasmin" not in "".join(log)
