"""The path of someone with a folder of friends: `facerec people add FOLDER`, then `facerec serve` names them."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from facerec.training.archive import extract
from facerec.training.split import NEW_PERSON_MIN_IMAGES
from tests.harness import ROOT, free_port, process, ready, wait_until
from tests.shipped import LFW, needs_lfw

FRIENDS, PICTURES = 6, 8
SECONDS = 30
"""From the start of the first command to a service that is ready, on two CPUs."""


@pytest.fixture
def new_people() -> list[list[Path]]:
    """The pictures of the first of LFW's new people, as `facerec.training.split` chooses them."""
    root = next(extract(LFW, ROOT / "data").glob("*funneled"))
    pictures = [sorted(folder.glob("*.jpg")) for folder in sorted(root.iterdir()) if folder.is_dir()]
    return [each for each in pictures if NEW_PERSON_MIN_IMAGES <= len(each) < 20][::2][:FRIENDS]


@pytest.mark.slow
@needs_lfw
def test_two_commands_lead_from_a_folder_to_a_service_that_names_its_people(
    tmp_path: Path, gallery: Path, new_people: list[list[Path]]
) -> None:
    for pictures in new_people:
        (folder := tmp_path / "my_people" / pictures[0].parent.name).mkdir(parents=True)
        for path in pictures[:PICTURES]:
            shutil.copy(path, folder)
    port = free_port()
    variables = {"PYTHONPATH": str(ROOT), "FACEREC_GALLERY": str(gallery), "PORT": str(port)}
    facerec = [sys.executable, "-m", "facerec"]
    start = time.monotonic()
    subprocess.run([*facerec, "people", "add", "my_people"], cwd=tmp_path, env=os.environ | variables, check=True)
    added = time.monotonic() - start
    with process([*facerec, "serve"], variables, discard_output=True):
        wait_until(lambda: ready(f"http://127.0.0.1:{port}"), seconds=60)
        elapsed = time.monotonic() - start
        print(f"{FRIENDS} people with {PICTURES} pictures: enrolled after {added:.1f} s, served after {elapsed:.1f} s")
        named = asked = 0
        for pictures in new_people:
            for path in pictures[PICTURES:]:
                with path.open("rb") as file:
                    answer = requests.post(f"http://127.0.0.1:{port}/predict/upload", files={"file": file}, timeout=60)
                named += answer.json()["identity"] == path.parent.name.replace("_", " ")
                asked += 1
    assert elapsed < SECONDS
    assert asked >= 2 * FRIENDS
    assert named >= 0.9 * asked, f"{named} of {asked}"
