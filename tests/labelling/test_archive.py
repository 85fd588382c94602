import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.inference.jobs import WorkerOptions
from facerec.inference.recognizer import FaceRecognizer
from facerec.labelling.archive import People, Progress, check_output, label, label_archive
from facerec.labelling.errors import OutputExists, OutputFull, OutputNotSupported, OutputOfOtherModel
from facerec.people.model_choice import embedding_of
from facerec.people.samples import Sample, normalize
from facerec.people.store import PeopleStore
from tests.harness import wait_until
from tests.labelling.toy_archive import Reports, rows_of, stored, toy_photo, write_archive
from tests.people.faces import BOX
from tests.shipped import ROOT
from tests.training.small_disk import no_file_larger_than


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """12 photos with 12 faces, and a picture that is none."""
    return write_archive(tmp_path / "archive", 12)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "labels"


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(gallery=tmp_path / "people.sqlite")


Run = Callable[..., Progress]


@pytest.fixture
def run(archive: Path, output: Path, options: WorkerOptions, people: People) -> Run:
    """Labels the archive."""

    def run(**arguments: Any) -> Progress:
        given: dict[str, Any] = {
            "paths": archive,
            "output": str(output),
            "options": options,
            "workers": 1,
            "people": people,
        }
        return label_archive(**(given | arguments))

    return run


def test_the_rows_are_those_of_the_python_function(
    archive: Path, output: Path, options: WorkerOptions, people: People, run: Run
) -> None:
    counts: list[int] = []
    progress = run(on_progress=lambda progress: counts.append(progress.pictures))
    assert counts[-1] == 13
    assert (progress.found, progress.unchanged, progress.pictures, progress.faces) == (13, 0, 13, 12)
    assert progress.people == {"Rosa Red": 3, "Gustav Green": 3, "Bella Blue": 3}
    assert progress.unknown == 3
    assert progress.errors == {"unsupported_picture": 1}
    rows = rows_of(list(label(archive, options, workers=1, people=people)))
    assert rows == stored(output)
    assert len(rows) == 17


def test_only_what_is_new_or_changed_is_done_again(archive: Path, output: Path, run: Run) -> None:
    run()
    before = stored(output)
    again = run()
    assert (again.found, again.unchanged, again.pictures) == (13, 13, 0)
    assert stored(output) == before
    (archive / "new.png").write_bytes(toy_photo(1))
    changed = archive / "000" / "0002.png"
    changed.write_bytes(toy_photo(4))
    (archive / "000" / "0005.png").unlink()
    third = run()
    assert (third.found, third.unchanged, third.pictures) == (13, 11, 2)
    rows = stored(output)
    paths = {str(archive / "new.png"), str(changed)}
    assert [row for row in rows if row["path"] not in paths] == [row for row in before if row["path"] not in paths]
    assert [row["path"] for row in rows if row["path"] in paths] == [str(changed), str(archive / "new.png")]
    others = run(paths=archive / "001")  # rows of other paths stay
    assert (others.found, others.unchanged) == (2, 2)
    assert stored(output) == rows


def test_a_new_person_is_found_in_stored_embeddings_without_reading_a_picture(
    archive: Path, output: Path, people: People, run: Run, options: WorkerOptions
) -> None:
    run()
    shutil.rmtree(archive)
    unknown = next(row for row in stored(output) if row["face"] == 0 and row["identity"] is None)
    recognizer = FaceRecognizer.load(options.recognizer, threads=1)
    assert people.gallery
    store = PeopleStore(people.gallery, embedding_of(recognizer.metadata, recognizer.checksum))
    id_ = store.add_person(
        "Gary Grey", [Sample(normalize(np.array(unknown["embedding"], np.float32)), 0.9, "grey", BOX)]
    )
    store.close()
    reports = Reports()
    progress = run(report=reports)
    assert reports.codes == {str(archive): "path_not_found"}
    assert (progress.found, progress.errors) == (0, {"path_not_found": 1})
    named = [row for row in stored(output) if row["identity"] == "Gary Grey"]
    assert len(named) == 3
    assert {row["person_id"] for row in named} == {str(id_)}


def test_another_model_is_refused_with_what_to_do(
    output: Path, run: Run, options: WorkerOptions, aligned_model: Path
) -> None:
    run()
    before = stored(output)
    other = WorkerOptions(**(vars(options) | {"recognizer": aligned_model}))
    with pytest.raises(OutputOfOtherModel):
        run(options=other)
    assert stored(output) == before


@pytest.mark.parametrize("name", ["labels.parquet", "labels.jsonl"])
def test_a_single_file_has_the_same_rows(run: Run, output: Path, name: str) -> None:
    run()
    file = output.with_name(name)
    run(output=str(file))
    rows = stored(file) if name.endswith("parquet") else [json.loads(line) for line in file.read_text().splitlines()]
    expected = stored(output)
    assert {(row["path"], row["face"], row["identity"], row["error_code"]) for row in rows} == {
        (row["path"], row["face"], row["identity"], row["error_code"]) for row in expected
    }
    assert len(rows) == len(expected)
    with pytest.raises(OutputExists):
        run(output=str(file))


def test_standard_output_has_json_lines(run: Run, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as stdout, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(sys, "stdout", stdout)
        run(output="-")
    rows = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert len(rows) == 17
    assert {row["error_code"] for row in rows} == {None, "unsupported_picture"}


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        *[(name, True) for name in ("-", "labels", "labels/", "labels.2024/", "a.b/labels", "labels.CSV", "x.parquet")],
        *[(name, False) for name in ("labels.json", "labels.xlsx", "labels.2024", "s3://bucket/labels")],
    ],
)
def test_outputs_are_told_by_their_names(name: str, allowed: bool) -> None:
    if allowed:
        check_output(name)
    else:
        with pytest.raises(OutputNotSupported):
            check_output(name)


def test_a_disk_that_is_full_keeps_what_was_done(run: Run, output: Path, archive: Path) -> None:
    with no_file_larger_than(100), pytest.raises(OutputFull):
        run()
    assert stored(output) == []
    run(paths=archive / "000")
    before = stored(output)
    with no_file_larger_than(100), pytest.raises(OutputFull):
        run()
    assert stored(output) == before
    assert run().pictures == 3
    assert len(stored(output)) == 17


def start(archive: Path, output: Path, options: WorkerOptions, people: People) -> subprocess.Popen[str]:
    """A process that labels the archive and has begun."""
    files = (options.recognizer, options.detector, options.landmarks, people.gallery, archive, output)
    command = [sys.executable, "-m", "tests.labelling.archive_run", *map(str, files)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    return process


def test_a_killed_run_goes_on_where_it_was(
    archive: Path, output: Path, options: WorkerOptions, people: People, run: Run
) -> None:
    write_archive(archive, 60)
    with start(archive, output, options, people) as process:
        try:
            wait_until(lambda: any(output.glob("part-*.parquet")), seconds=60)
        finally:
            process.kill()
    done = {row["path"] for row in stored(output)}
    assert done
    progress = run()
    assert (progress.found, progress.unchanged) == (61, len(done))
    whole = output.with_name("whole")
    run(output=str(whole))
    assert stored(output) == stored(whole)


@pytest.mark.slow
def test_runs_that_are_killed_at_random_moments_end_with_the_same_rows(
    archive: Path, output: Path, options: WorkerOptions, people: People, run: Run
) -> None:
    write_archive(archive, 60)
    whole = output.with_name("whole")
    with start(archive, whole, options, people) as process:
        began = time.monotonic()
        process.communicate()
    assert process.returncode == 0
    seconds = time.monotonic() - began
    expected = stored(whole)
    generator = random.Random(26)
    killed = half_done = 0
    for _ in range(20):
        with start(archive, output, options, people) as process:
            time.sleep(generator.uniform(0.3, 1) * seconds)
            killed += process.poll() is None
            process.kill()
        half_done += len(stored(output)) != len(expected)  # rows are missing, or old ones are still there
        for path in generator.sample(sorted(archive.rglob("*.png")), 40):
            os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # a part of the archive is always done anew
    assert killed >= 5
    assert half_done >= 1
    run()
    run(output=str(whole))
    assert stored(output) == stored(whole)
    assert len(expected) == len(stored(output))
