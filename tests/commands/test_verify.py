"""`facerec verify`, with the shipped models."""

from contextlib import closing
from pathlib import Path

import pytest

from facerec.people.store import PeopleStore
from tests.commands.conftest import Command
from tests.harness import picture
from tests.people.faces import EMBEDDING, sample


@pytest.fixture
def pictures(tmp_path: Path, hopper: list[bytes]) -> tuple[Path, Path]:
    """Two pictures of one person."""
    paths = tmp_path / "a.jpg", tmp_path / "b.jpg"
    for path, data in zip(paths, hopper, strict=False):
        path.write_bytes(data)
    return paths


def test_two_pictures_of_one_person(facerec: Command, pictures: tuple[Path, Path], gallery: Path) -> None:
    done = facerec("verify", *pictures)
    assert done.code == 0
    assert done.out[0].startswith("The same person: the similarity 0.9")
    assert done.err == ["Comparing with face_recognition_accurate.onnx, the model for new galleries."]
    assert facerec("verify", *pictures, "--model", "default").out[0].startswith("The same person: ")
    assert not gallery.exists()


def test_the_gallery_of_another_model_does_not_matter(
    facerec: Command, pictures: tuple[Path, Path], gallery: Path
) -> None:
    gallery.parent.mkdir()
    with closing(PeopleStore(gallery, EMBEDDING)) as store:
        store.add_person("Ada", [sample(1)])
    assert facerec("verify", *pictures, "--model", "default").out[0].startswith("The same person: ")


def test_pictures_that_can_not_be_compared_are_one_line(
    facerec: Command, pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    (blank := tmp_path / "blank.png").write_bytes(picture(size=(200, 200)))
    (text := tmp_path / "text.jpg").write_text("no picture")
    for path, message in (
        (blank, f"{blank}: No face was found"),
        (text, f"{text}: The bytes are not a whole"),
        (tmp_path / "gone.jpg", f"can't read {tmp_path}/gone.jpg: No such file"),
        (tmp_path, f"can't read {tmp_path}: Is a directory"),
    ):
        done = facerec("verify", pictures[0], path)
        assert (done.code, done.out) == (1, [])
        assert done.err[-1].startswith(f"facerec: {message}")
