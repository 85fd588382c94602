"""Groups of unknown faces in folders of labels."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from facerec.inference.false_matches import FalseMatches
from facerec.labelling.errors import LabelsNotFound, OutputDamaged, OutputInUse
from facerec.labelling.grouping import Grouping, group_threshold, group_unknown_faces, name_groups
from facerec.labelling.part_file import read_origin
from facerec.labelling.parts import lock_folder
from facerec.labelling.rows import Row
from tests.labelling.group_labels import LANDMARKS, ORIGIN, face, metadata, write_labels
from tests.labelling.toy_archive import stored
from tests.shipped import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "labels"


def groups(folder: Path) -> dict[str, str | None]:
    """The group of each path, or of each face where the picture shows several."""
    return {row["path"] + ("" if not row["face"] else f"#{row['face']}"): row["group"] for row in stored(folder)}


def test_faces_of_one_person_get_one_group_the_largest_first(folder: Path) -> None:
    write_labels(
        folder,
        [face("a1", 0, 1), face("b1", 1, 2), Row("nobody"), face("alone", 2)],
        [face("b2", 1, 3), Row("broken", error_code="picture_gone"), face("b3", 1, 4), face("a2", 0, 5)],
    )
    told: list[tuple[int, int]] = []
    grouping = group_unknown_faces(folder, metadata(), on_progress=lambda *counts: told.append(counts))
    assert grouping == Grouping(unknown=6, usable=6, grouped=5, groups=2)
    assert told[-1] == (6, 6)
    alone = dict.fromkeys(["nobody", "broken", "alone"])
    assert groups(folder) == {"a1": "g2", "a2": "g2", "b1": "g1", "b2": "g1", "b3": "g1"} | alone
    assert read_origin(folder / "part-000001.parquet") == ORIGIN


def test_known_blurred_and_turned_faces_and_those_of_one_picture_are_in_no_group(folder: Path) -> None:
    write_labels(
        folder,
        [
            face("unknown", 0, 1),
            face("known", 0, 2, identity="Ann", group="g7"),
            face("blurred", 0, 3, sharpness=0.05),
            face("turned", 0, 4, landmarks=None),
            face("small", 0, 5, landmarks=LANDMARKS / 4),
        ],
        [face("twins", 1, 6), face("twins", 1, 7, face=1)],
    )
    assert group_unknown_faces(folder, metadata()) == Grouping(unknown=6, usable=3, grouped=0, groups=0)
    assert set(groups(folder).values()) == {None}


def test_copies_of_a_picture_are_no_group(folder: Path) -> None:
    copies = [face(f"{place}/a.jpg", 0, sha256="a") for place in ("phone", "backup")]
    write_labels(folder, copies, [face(name, 1, 1, sha256="b") for name in ("phone/b.jpg", "backup/b.jpg")])
    assert group_unknown_faces(folder, metadata()) == Grouping(unknown=4, usable=4, grouped=0, groups=0)
    write_labels(folder, copies, [*(face(name, 1, 1, sha256="b") for name in ("b", "copy of b")), face("other", 1, 2)])
    assert group_unknown_faces(folder, metadata()) == Grouping(unknown=5, usable=5, grouped=3, groups=1)


def test_a_second_run_writes_nothing_and_only_parts_with_new_groups_are_written(folder: Path) -> None:
    write_labels(folder, [face("a1", 0, 1), face("a2", 0, 2)], [face("b", 1)])
    group_unknown_faces(folder, metadata())
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    assert group_unknown_faces(folder, metadata()).groups == 1
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    third = write_labels(folder.parent / "third", [face("b2", 1, 9)]) / "part-000001.parquet"
    third.rename(folder / "part-000003.parquet")
    group_unknown_faces(folder, metadata())
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    assert {name for name in before if before[name] != after[name]} == {"part-000002.parquet"}
    assert groups(folder) == {"a1": "g1", "a2": "g1", "b": "g2", "b2": "g2"}


def test_a_group_that_grew_keeps_its_name_and_a_number_is_never_given_again(folder: Path) -> None:
    write_labels(folder, [face("a1", 0, 1), face("a2", 0, 2)], [face("b1", 1, 3), face("b2", 1, 4), face("b3", 1, 5)])
    group_unknown_faces(folder, metadata())
    assert groups(folder)["a1"] == "g2"
    rows = [face(f"a{number}", 0, number, group="g2" if number < 3 else None) for number in range(1, 9)]
    named = [face(f"b{number}", 1, number, identity="Bob") for number in range(1, 4)]
    write_labels(folder, rows, named)
    group_unknown_faces(folder, metadata())
    assert set(groups(folder).values()) == {"g2", None}
    write_labels(folder, [row._replace(identity="Ann", group=None) for row in rows], named)
    group_unknown_faces(folder, metadata())
    write_labels(folder, [face("c1", 2, 1), face("c2", 2, 2)], named)
    group_unknown_faces(folder, metadata())
    assert groups(folder)["c1"] == "g3"


@pytest.mark.parametrize(
    ("clusters", "earlier", "expected"),
    [
        ([0, 0, 0, 3, 3, 5], [0] * 6, [1, 1, 1, 2, 2, 0]),
        ([0, 0, 2, 2, 2], [4, 4, 4, 4, 4], [5, 5, 4, 4, 4]),  # divided: the larger part keeps the name
        ([0, 0, 0, 0, 0], [1, 1, 2, 2, 2], [2] * 5),  # became one
        ([0, 0, 2, 2], [2, 2, 1, 1], [2, 2, 1, 1]),
        ([0, 1, 2, 2], [3, 3, 0, 0], [0, 0, 4, 4]),  # fell apart
        ([0, 0, 2, 2, 2, 2], [9, 8, 8, 8, 0, 0], [9, 9, 8, 8, 8, 8]),
    ],
)
def test_names_stay_with_most_of_their_faces(clusters: list[int], earlier: list[int], expected: list[int]) -> None:
    named = name_groups(np.array(clusters), np.array(earlier), last=max(earlier))
    assert named.tolist() == expected


KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from facerec.labelling import grouping
from tests.labelling.group_labels import metadata

write_part = grouping.write_part
written = []

def write_one_part(path, *arguments):
    if written:
        os.kill(os.getpid(), signal.SIGKILL)
    write_part(path, *arguments)
    written.append(path)

grouping.write_part = write_one_part
grouping.group_unknown_faces(Path(sys.argv[1]), metadata())
"""
"""Groups the faces of a folder and is killed when it has written one part."""


def test_a_run_that_is_killed_is_made_good_by_the_next(folder: Path) -> None:
    paths = [[f"{part}-{row}" for row in range(6)] for part in range(3)]
    write_labels(
        folder,
        *([face(path, row, part * 10 + row) for row, path in enumerate(names)] for part, names in enumerate(paths)),
    )
    grouped = [{path: f"g{row + 1}" for row, path in enumerate(names)} for names in paths]
    killed = subprocess.run([sys.executable, "-c", KILLED_RUN, str(folder)], cwd=ROOT, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert groups(folder) == grouped[0] | dict.fromkeys([*grouped[1], *grouped[2]])
    group_unknown_faces(folder, metadata())
    assert groups(folder) == grouped[0] | grouped[1] | grouped[2]


def test_folders_that_can_not_be_grouped_say_why(folder: Path) -> None:
    with pytest.raises(LabelsNotFound):
        group_unknown_faces(folder, metadata())
    folder.mkdir()
    with pytest.raises(LabelsNotFound):
        group_unknown_faces(folder, metadata())
    write_labels(folder, [face("a", 0)])
    lock = lock_folder(folder)
    with pytest.raises(OutputInUse):
        group_unknown_faces(folder, metadata())
    os.close(lock)
    (folder / "part-000002.parquet").write_bytes(b"PAR1")
    with pytest.raises(OutputDamaged):
        group_unknown_faces(folder, metadata())


def test_labels_without_faces_have_no_groups(folder: Path) -> None:
    write_labels(folder, [Row("nobody")])
    assert group_unknown_faces(folder, metadata()) == Grouping(0, 0, 0, 0)


def test_more_faces_must_be_more_alike() -> None:
    rising = tuple(0.5 + 0.05 * step for step in range(9))
    matches = FalseMatches(false_accept_rate=0.01, similarities={0: rising, 1: rising})
    thresholds = [group_threshold(metadata(), 100)] + [
        group_threshold(metadata().model_copy(update={"false_matches": matches}), faces) for faces in (100, 10_000)
    ]
    assert thresholds[0] == 0.8
    assert thresholds[1:] == pytest.approx([0.5 + 0.1 * 1.159, 0.5 + 0.1 * 3.159], abs=0.001)  # ln 2 / faces
