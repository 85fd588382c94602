"""Add people to a gallery one after the other, and print each name when the store has acknowledged it.

Run it as `python -m tests.people.writer LOCATION PREFIX COUNT`. It starts when a line is read.
"""

import contextlib
import sys
import time

from facerec.people.errors import NameTaken, StoreUnavailable
from facerec.people.samples import Sample
from facerec.people.store import PeopleStore
from tests.people.faces import EMBEDDING, sample


def main(location: str, prefix: str, count: str) -> None:
    """Each person has two samples, so that a half one can be told."""
    store = PeopleStore(location, EMBEDDING)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(count)):
        name = f"{prefix} {number}"
        with contextlib.suppress(NameTaken):
            add_person(store, name, [sample(2 * number), sample(2 * number + 1)])
            print(name, flush=True)


def add_person(store: PeopleStore, name: str, samples: list[Sample]) -> None:
    """Add a person, if need be when the database's server is there again."""
    while True:
        try:
            store.add_person(name, samples)
        except StoreUnavailable:
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
