"""Change sidecars after saying how many, and asking."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from facerec.commands.console import confirm, one_line, say
from facerec.labelling.local_files import is_local
from facerec.labelling.sidecars import PathSet, Photo, SidecarChange, change_sidecar, labelled_photos
from facerec.labelling.sources import Paths, find_pictures
from facerec.labelling.xmp.errors import XmpError
from facerec.pictures.errors import PictureError


def write_sidecars(paths: Paths, labels: Path, *, yes: bool) -> None:
    """Write the people of pictures to their sidecars.

    Args:
        paths: of the pictures. Those that are not of this machine are passed over.
        labels: the folder of labels with the pictures' rows.
        yes: don't ask.

    Raises:
        CommandError: there is no terminal to ask on.
        LabelsNotFound: there are none.
        OutputError: the labels can't be read.
    """
    found = find_pictures(paths, lambda *_: None)  # the run has told what can't be searched
    among = PathSet(picture.path for picture in found if is_local(picture.path))
    change_sidecars(lambda: labelled_photos(labels, among), len(among), yes=yes)


def change_sidecars(photos: Callable[[], Iterable[Photo]], total: int | None, *, yes: bool) -> None:
    """Change the sidecars of photos as `change_sidecar` does, after saying how many.

    Args:
        photos: gives the photos anew each time.
        total: number of photos at most, if it is known.
        yes: don't ask.

    Raises:
        CommandError: there is no terminal to ask on.
    """
    counts: Counter[SidecarChange] = Counter()
    changing = PathSet(
        photo.path
        for photo, change in _each(photos(), total, "Comparing sidecars", counts, dry_run=True)
        if change != SidecarChange.UNCHANGED
    )
    say(f"Sidecars: {', '.join(f'{counts[change]} {change}' for change in SidecarChange)}.")
    if not len(changing) or not (yes or confirm(f"Change {len(changing)} sidecars?")):
        return
    counts.clear()
    todo = (photo for photo in photos() if photo.path in changing)
    for _ in _each(todo, len(changing), "Changing sidecars", counts, dry_run=False):
        pass
    say(f"{counts.total() - counts[SidecarChange.UNCHANGED]} sidecars were changed.")


def _each(
    photos: Iterable[Photo], total: int | None, title: str, counts: Counter[SidecarChange], *, dry_run: bool
) -> Iterator[tuple[Photo, SidecarChange]]:
    """What becomes of each sidecar. One that can't be read or written is a line on standard error."""
    with tqdm(photos, title, total, unit=" photos", disable=None) as bar:
        for photo in bar:
            try:
                change = change_sidecar(photo, dry_run=dry_run)
            except XmpError as error:
                bar.write(one_line(f"{error.path}: {error}"), file=sys.stderr)
            except PictureError as error:
                bar.write(one_line(f"{photo.path}: {error}"), file=sys.stderr)
            else:
                if change:
                    counts[change] += 1
                    yield photo, change
