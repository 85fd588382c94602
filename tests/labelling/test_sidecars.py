"""From a folder of labels to sidecars and back, on an archive that the toy models understand."""

import hashlib
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.inference.jobs import WorkerOptions
from facerec.labelling.archive import People, label_archive
from facerec.labelling.errors import LabelsNotFound, OutputNotLabels
from facerec.labelling.sidecars import PathSet, Photo, SidecarChange, change_sidecar, labelled_photos
from facerec.labelling.sources import find_pictures, find_sidecars
from facerec.labelling.xmp.errors import XmpDamaged, XmpNotWritable
from facerec.labelling.xmp.reading import sidecar_of
from tests.labelling.toy_archive import Reports, stored, write_archive

NOBODY_IS_THIS_SIMILAR = 1.1


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """30 photos with up to two faces each, and a picture that is none."""
    return write_archive(tmp_path / "archive", 30)


def label(archive: Path, options: WorkerOptions, threshold: float | None = None) -> Path:
    """The folder of the archive's labels."""
    output = archive.parent / "labels"
    people = People(gallery=archive.parent / "people.sqlite", threshold=threshold)
    label_archive(archive, str(output), options, workers=1, people=people)
    return output


def paths_of(archive: Path) -> PathSet:
    return PathSet(picture.path for picture in find_pictures(archive, Reports()))


def change(labels: Path, among: PathSet, *, dry_run: bool = False) -> Counter[SidecarChange | None]:
    return Counter(change_sidecar(photo, dry_run=dry_run) for photo in labelled_photos(labels, among))


def files(archive: Path) -> dict[Path, str]:
    """The SHA-256 of every file."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in archive.rglob("*") if path.is_file()}


def test_sidecars_follow_the_labels(archive: Path, options: WorkerOptions) -> None:
    before = files(archive)
    labels = label(archive, options)
    named = {row["path"] for row in stored(labels) if row["identity"]}
    nobody = {row["path"] for row in stored(labels) if not row["error_code"]} - named
    assert len(named) > 10
    assert len(nobody) > 10
    among = paths_of(archive)

    first = {SidecarChange.NEW: len(named), None: len(nobody)}
    assert change(labels, among, dry_run=True) == first
    assert files(archive) == before
    assert change(labels, among) == first
    assert {str(path) for path in archive.rglob("*.xmp")} == {f"{path}.xmp" for path in named}
    assert change(labels, among) == {SidecarChange.UNCHANGED: len(named), None: len(nobody)}

    label(archive, options, threshold=NOBODY_IS_THIS_SIMILAR)
    assert change(labels, among) == {SidecarChange.TAKEN_OUT: len(named), None: len(nobody)}
    assert files(archive) == before


def test_regions_are_where_the_faces_are(archive: Path, options: WorkerOptions) -> None:
    labels = label(archive, options)
    rows = {(row["path"], row["identity"]): row for row in stored(labels) if row["identity"]}
    for photo in labelled_photos(labels, paths_of(archive)):
        assert photo.size == (320, 160)
        for region in photo.people:
            row = rows.pop((photo.path, region.name))
            assert region[1:] == (row["left"], row["top"], row["box_width"], row["box_height"])
    assert not rows


def test_only_photos_of_the_given_paths_are_touched(archive: Path, options: WorkerOptions) -> None:
    labels = label(archive, options)
    change(labels, paths_of(archive / "001"))
    written = list(archive.rglob("*.xmp"))
    assert written
    assert {path.parent.name for path in written} == {"001"}
    assert not list(labelled_photos(labels, PathSet([])))


def test_a_folder_without_labels_or_with_other_files_says_so(tmp_path: Path) -> None:
    with pytest.raises(LabelsNotFound):
        list(labelled_photos(tmp_path, PathSet([])))
    (tmp_path / "other.parquet").touch()
    with pytest.raises(OutputNotLabels):
        list(labelled_photos(tmp_path, PathSet([])))


def test_a_photo_that_can_not_be_read_any_more_keeps_its_sidecar(archive: Path, options: WorkerOptions) -> None:
    labels = label(archive, options)
    among = paths_of(archive)
    change(labels, among)
    sidecar = next(archive.rglob("*.xmp"))
    sidecar.with_suffix("").write_bytes(b"no picture")
    before = sidecar.read_bytes()
    label(archive, options)
    assert sidecar.with_suffix("") not in {Path(photo.path) for photo in labelled_photos(labels, among)}
    change(labels, among)
    assert sidecar.read_bytes() == before


def test_a_sidecar_that_is_changed_for_another_person_is_no_new_one(archive: Path, options: WorkerOptions) -> None:
    labels = label(archive, options)
    photo = next(photo for photo in labelled_photos(labels, paths_of(archive)) if photo.people)
    other = photo._replace(people=[photo.people[0]._replace(name="Somebody else")])
    assert change_sidecar(other, dry_run=False) == SidecarChange.NEW
    assert change_sidecar(photo, dry_run=True) == SidecarChange.CHANGED
    assert b"Somebody else" in sidecar_of(Path(photo.path)).read_bytes()
    assert change_sidecar(photo, dry_run=False) == SidecarChange.CHANGED
    assert b"Somebody else" not in sidecar_of(Path(photo.path)).read_bytes()


def test_a_damaged_sidecar_is_an_error_of_its_photo(archive: Path, options: WorkerOptions) -> None:
    labels = label(archive, options)
    photo = next(photo for photo in labelled_photos(labels, paths_of(archive)) if photo.people)
    sidecar_of(Path(photo.path)).write_text("<x")
    for each in (photo, Photo.without_people(photo.path)):
        with pytest.raises(XmpDamaged):
            change_sidecar(each, dry_run=True)


def test_a_name_too_long_for_a_sidecar_is_an_error_of_its_photo(archive: Path, options: WorkerOptions) -> None:
    labels = label(archive, options)
    photo = next(photo for photo in labelled_photos(labels, paths_of(archive)) if photo.people)
    path = Path(photo.path).rename(archive / f"{'x' * 251}.png")
    for dry_run in (True, False):
        with pytest.raises(XmpNotWritable):
            change_sidecar(photo._replace(path=str(path)), dry_run=dry_run)


def test_a_name_that_is_not_utf8_finds_its_photo(archive: Path, options: WorkerOptions) -> None:
    photo = next(path for path in archive.rglob("*.png") if path.name.endswith("1.png"))
    odd = photo.with_name(os.fsdecode(b"\xe9.png"))
    photo.rename(odd)
    labels = label(archive, options)
    before = files(archive)
    change(labels, paths_of(odd.parent))
    assert sidecar_of(odd).exists()
    for path in find_sidecars(odd.parent, Reports()):
        change_sidecar(Photo.without_people(path), dry_run=False)
    assert files(archive) == before


def test_sidecars_are_found_by_folders_patterns_photos_and_their_own_names(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for name in ("1.jpg", "1.jpg.xmp", "gone.JPG.xmp", "1.xmp", "notes.txt.xmp", ".2.jpg.xmp", "3.png"):
        (inner / name).write_text("")
    (tmp_path / "4.heic.xmp").write_text("")
    one, gone, four = str(inner / "1.jpg"), str(inner / "gone.JPG"), str(tmp_path / "4.heic")
    reports = Reports()
    for paths, expected in (
        (tmp_path, [four, one, gone]),
        ([tmp_path, inner, one], [four, one, gone]),
        (f"{tmp_path}/*", [four, one, gone]),
        (f"{tmp_path}/**/*.jpg", [one]),
        (f"{tmp_path}/**/*.jpg.xmp", [one]),
        (one, [one]),
        (gone, [gone]),
        (gone + ".xmp", [gone]),
    ):
        assert list(find_sidecars(paths, reports)) == expected, paths  # type: ignore[arg-type]
    assert reports.codes == {}
    assert list(find_sidecars([tmp_path / "nowhere", "s3://bucket/photos"], reports)) == []
    assert reports.codes == {str(tmp_path / "nowhere"): "path_not_found", "s3://bucket/photos": "address_not_supported"}


@given(st.sets(st.text(st.characters(codec="utf-8"), max_size=5), max_size=30), st.text(max_size=5))
def test_a_set_of_paths_holds_what_it_was_given(paths: set[str], other: str) -> None:
    found = PathSet([*paths, *paths])
    assert len(found) == len(paths)
    assert all(path in found for path in paths)
    assert other.encode(errors="ignore").decode() in paths or other.encode(errors="ignore").decode() not in found
