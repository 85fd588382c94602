"""Search a folder of people: the pictures of each person, and what is left out."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from facerec.commands.console import CommandError
from facerec.people.errors import NameNotAllowed
from facerec.people.names import canonical_name
from facerec.pictures.decode import PICTURE_SUFFIXES
from facerec.pictures.hidden import is_hidden


class Refused(NamedTuple):
    """A picture or a folder that can't be used."""

    path: Path
    reason: str


class PeopleFolder(NamedTuple):
    """The pictures of a folder."""

    pictures: dict[str, list[Path]]
    """The pictures of each person, by name in the form of `canonical_name`. Several folders may be of one person."""
    refused: list[Refused]


def search_folder(folder: Path) -> PeopleFolder:
    """The pictures `folder/NAME/FILE`, told by their suffixes alone. Hidden files and deeper folders are passed over.

    Raises:
        CommandError: the folder can't be read, or has no folders.
    """
    found = PeopleFolder({}, [])
    try:
        entries = sorted(_visible(folder))
    except OSError as error:
        raise CommandError(f"can't read the folder {folder}: {error.strerror}") from error
    folders = [entry for entry in entries if os.path.isdir(entry)]  # noqa: PTH112 - Path.is_dir raises for some errors
    if not folders:
        raise CommandError(f"{folder} has no folders: expected one for each person, {folder}/NAME/*.jpg")
    found.refused.extend(Refused(entry, "It is in no person's folder.") for entry in entries if _is_picture(entry))
    for each in folders:
        try:
            name = canonical_name(each.name)
            pictures = sorted(filter(_is_picture, _visible(each)))
        except NameNotAllowed as error:
            found.refused.append(Refused(each, str(error)))
        except OSError as error:
            found.refused.append(Refused(each, f"The folder can't be read: {error.strerror}."))
        else:
            if pictures:
                found.pictures.setdefault(name, []).extend(pictures)
            else:
                found.refused.append(Refused(each, "The folder has no pictures."))
    return found


def _visible(folder: Path) -> Iterator[Path]:
    """What a folder holds, without hidden files."""
    return (Path(entry.path) for entry in os.scandir(folder) if not is_hidden(entry.name))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES
