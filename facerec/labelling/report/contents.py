"""What a report shows of a folder of labels. It reads a few columns of one part at a time, twice.

First all is counted. Then the faces of the people and groups are chosen that have room on the page.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from facerec.inference.cropping import Face
from facerec.labelling.parts import rows_by_picture
from facerec.labelling.stored_faces import FACE_COLUMNS, stored_face

MOST_SECTIONS = 200
"""Known people, and groups, that are shown: those with the most faces."""
MOST_FACES = 12
"""Faces of each of them that are shown: the largest ones, at most one of a picture."""
_MOST_PATHS = 5
"""Examples of the paths with an error of one kind."""


class ShownFace(NamedTuple):
    """A face that the report shows."""

    path: str
    sha256: str
    """Of the picture's file, in hexadecimal."""
    face: Face


@dataclass
class Section:
    """A known person or a group."""

    name: str
    faces: int
    pictures: int
    shown: list[ShownFace] = field(default_factory=list)
    """The largest face first."""


@dataclass
class ErrorKind:
    """The pictures with errors of one kind."""

    message: str
    """That of the first of them."""
    pictures: int = 0
    paths: list[str] = field(default_factory=list)


@dataclass
class Contents:
    """What a report shows."""

    pictures: int
    faces: int
    known_faces: int
    grouped_faces: int
    people: list[Section]
    """By falling number of faces."""
    more_people: int
    """Those that have no room."""
    groups: list[Section]
    more_groups: int
    errors: dict[str, ErrorKind]
    """By code, the most frequent first."""

    @property
    def unknown_faces(self) -> int:
        """Faces that belong to nobody who is known."""
        return self.faces - self.known_faces

    @property
    def shown(self) -> Iterator[ShownFace]:
        """All faces that the report shows."""
        for section in (*self.people, *self.groups):
            yield from section.shown


class _Count:
    """Faces and pictures of each person or group."""

    def __init__(self) -> None:
        self.faces: Counter[str] = Counter()
        self.pictures: Counter[str] = Counter()

    def add(self, names: list[str]) -> None:
        """Count the faces of a picture."""
        self.faces.update(names)
        self.pictures.update(set(names))

    def sections(self) -> list[Section]:
        """Those with the most faces. Of as many, the names decide."""
        order = heapq.nsmallest(MOST_SECTIONS, self.faces.items(), key=lambda item: (-item[1], len(item[0]), item[0]))
        return [Section(name, faces, self.pictures[name]) for name, faces in order]


def read_contents(parts: list[Path]) -> Contents:
    """What a report of these parts shows.

    Raises:
        OutputError: a part can't be read.
    """
    people, groups, errors = _Count(), _Count(), dict[str, ErrorKind]()
    pictures = faces = 0
    for rows in rows_by_picture(parts, ["path", "face", "identity", "group", "error_code", "error_message"]):
        pictures += 1
        faces += sum(row["face"] is not None for row in rows)
        people.add([row["identity"] for row in rows if row["identity"] is not None])
        groups.add([row["group"] for row in rows if row["group"] is not None])
        if code := rows[0]["error_code"]:
            kind = errors.setdefault(code, ErrorKind(rows[0]["error_message"] or ""))
            kind.pictures += 1
            if len(kind.paths) < _MOST_PATHS:
                kind.paths.append(rows[0]["path"])
    contents = Contents(
        pictures=pictures,
        faces=faces,
        known_faces=people.faces.total(),
        grouped_faces=groups.faces.total(),
        people=people.sections(),
        more_people=max(0, len(people.faces) - MOST_SECTIONS),
        groups=groups.sections(),
        more_groups=max(0, len(groups.faces) - MOST_SECTIONS),
        errors=dict(sorted(errors.items(), key=lambda item: (-item[1].pictures, item[0]))),
    )
    _choose_faces(parts, contents)
    return contents


def _choose_faces(parts: list[Path], contents: Contents) -> None:
    """Choose the faces of the sections."""
    sections = {("identity", section.name): section for section in contents.people}
    sections |= {("group", section.name): section for section in contents.groups}
    largest: defaultdict[tuple[str, str], list[tuple[float, str, ShownFace]]] = defaultdict(list)
    for rows in rows_by_picture(parts, [*FACE_COLUMNS, "identity", "group"]):
        seen = set()
        for row in rows:
            key = ("identity", row["identity"]) if row["identity"] is not None else ("group", row["group"])
            if key not in sections or key in seen:
                continue
            seen.add(key)
            shown = ShownFace(row["path"], row["sha256"], stored_face(row))
            entry = (shown.face.size, shown.path, shown)
            if len(largest[key]) < MOST_FACES:
                heapq.heappush(largest[key], entry)
            else:
                heapq.heappushpop(largest[key], entry)
    for key, entries in largest.items():
        sections[key].shown = [shown for _, _, shown in sorted(entries, reverse=True)]
