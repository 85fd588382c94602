"""Find the photos of a folder whose metadata names people, and the name and place of each face."""

import os
from pathlib import Path

from tqdm import tqdm

from facerec.commands.console import CommandError
from facerec.commands.folder import PeopleFolder, Refused
from facerec.inference.results import PictureResult
from facerec.labelling.local_files import find_local, from_text
from facerec.labelling.xmp.areas import Region
from facerec.labelling.xmp.errors import XmpError
from facerec.labelling.xmp.reading import named_regions
from facerec.people.enrolment import Portrait
from facerec.people.errors import NameNotAllowed
from facerec.people.names import canonical_name
from facerec.people.samples import Box
from facerec.pictures.errors import PictureError

_ANY_SIZE = (1, 1)
"""The size of a photo matters to where a face is, not to its name."""


def search_names(folder: Path) -> PeopleFolder:
    """The photos of each person who is named in the metadata of a folder's photos, in all folders within too.

    Raises:
        CommandError: the folder can't be read, or nobody is named.
    """
    found = PeopleFolder({}, [])
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises where it may not be looked at
        raise CommandError(f"{folder} is no folder that can be read")
    photos = find_local(
        str(folder), lambda path, error: found.refused.append(Refused(Path(from_text(path)), str(error)))
    )
    for photo in tqdm(photos, "Reading names", unit=" photos", disable=None):
        path = Path(from_text(photo.path))
        try:
            names = {region.name for region in named_regions(path, _ANY_SIZE)}
        except (XmpError, PictureError) as error:
            found.refused.append(Refused(path, str(error)))
            continue
        for name in sorted(names):
            try:
                photos_of_person = found.pictures.setdefault(canonical_name(name), [])
            except NameNotAllowed as error:
                found.refused.append(Refused(path, f"{name}: {error}"))
            else:
                if path not in photos_of_person[-1:]:  # two forms of one name
                    photos_of_person.append(path)
    if not found.pictures:
        raise CommandError(f"nobody is named in the metadata of the photos in {folder}")
    return PeopleFolder(dict(sorted(found.pictures.items())), found.refused)


def named_portraits(name: str, photo: Path, result: PictureResult) -> list[Portrait]:
    """The portraits of a person in a photo.

    Args:
        name: of the person, as `canonical_name` writes it.
        photo: its file.
        result: what was found in it.

    Raises:
        XmpError, PictureError: the metadata can't be read any more.
    """
    regions = named_regions(photo, (result.width, result.height))
    return [Portrait(result, _box(region)) for region in regions if _is_named(region, name)]


def _is_named(region: Region, name: str) -> bool:
    try:
        return canonical_name(region.name) == name
    except NameNotAllowed:
        return False


def _box(region: Region) -> Box:
    """The square with the centre of a region and the mean of its sides."""
    x, y = region.left + region.width / 2, region.top + region.height / 2
    return Box(round(x), round(y), round((region.width + region.height) / 2))
