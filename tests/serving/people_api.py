"""Calls of the service about people, and pictures of them."""

from typing import Any

import requests

from tests.harness import data_url, photo, saved

KEY = {"Authorization": "Bearer right"}
BOX = [16, 48, 64, 64]
"""The face of `portrait`."""


def portrait(colour: str, *, x: int = 48, mark: int = 0) -> bytes:
    """The file of a picture of one person. Those of another `mark` differ as files."""
    image = photo((x, 80, colour))
    image.putpixel((319, 159), (mark % 256, mark // 256, 9))
    return saved(image)


class Api:
    """The service, asked with the key."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return requests.request(method, self.address + path, headers=KEY, timeout=30, **arguments)

    def enrol(self, name: str, *pictures: bytes, **fields: object) -> requests.Response:
        return self.ask("POST", "/people", json={"name": name, "pictures": [*map(data_url, pictures)], **fields})

    def enrolled(self, name: str, *pictures: bytes, **fields: object) -> dict[str, Any]:
        answer = self.enrol(name, *pictures, **fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def recognized(self, data: bytes, **fields: object) -> dict[str, Any]:
        answer = self.ask("POST", "/predict", json={"url": data_url(data), **fields})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def known(self) -> dict[str, dict[str, Any]]:
        return {person["name"]: person for person in self.ask("GET", "/people").json()["people"]}
