"""The subcommands of `facerec` and their options. The command line is derived from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg, subcommand

Model = Annotated[str | None, arg(metavar="FILE|accurate|default")]
"""The recognizer: a file, or a word for one of the shipped ones."""


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Serve face recognition over HTTP, on port 8000. Settings are environment variables, see docs/service.md."""


@dataclass(frozen=True, kw_only=True)
class GalleryOptions:
    """Which people."""

    gallery: Annotated[str | None, arg(metavar="FILE|URL")] = None
    """The gallery: path of a SQLite file, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE. By default what the
    environment variable FACEREC_GALLERY says, or else people.sqlite in your data folder."""


@dataclass(frozen=True, kw_only=True)
class AddPeople(GalleryOptions):
    """Enrol the people of a folder: FOLDER/NAME/*.jpg, or PNG, WebP, HEIC, AVIF, TIFF, GIF, BMP.

    Run again, it adds the pictures that are new.
    """

    folder: Positional[Path]
    """A folder with a folder for each person. In each picture, that person's face should be the most prominent."""
    model: Model = None
    """The recognizer: accurate, default, or a file. By default what FACEREC_MODEL says, or the one that the gallery was
    made with, or accurate."""
    force: bool = False
    """Also take faces that are unlike the person's other pictures, or very like another person."""


@dataclass(frozen=True, kw_only=True)
class ListPeople(GalleryOptions):
    """List the people who are enrolled, with their number of pictures."""


@dataclass(frozen=True, kw_only=True)
class RemovePerson(GalleryOptions):
    """Delete a person and all that the gallery keeps of the person."""

    name: Positional[str]
    """The person's name, as `facerec people list` prints it."""


@dataclass(frozen=True, kw_only=True)
class ExportPeople(GalleryOptions):
    """Write everybody who is enrolled to one file. It holds biometric data, and no pictures."""

    file: Positional[Path]
    """The file. An older one of this name is replaced."""


@dataclass(frozen=True, kw_only=True)
class ImportPeople(GalleryOptions):
    """Add the people of an exported file. Those whose names are enrolled already get the file's samples as well."""

    file: Positional[Path]
    """A file that `facerec people export` has written."""


PeopleCommand = (
    Annotated[AddPeople, subcommand("add")]
    | Annotated[ListPeople, subcommand("list")]
    | Annotated[RemovePerson, subcommand("remove")]
    | Annotated[ExportPeople, subcommand("export")]
    | Annotated[ImportPeople, subcommand("import")]
)


@dataclass(frozen=True, kw_only=True)
class People:
    """The gallery of people who are recognized without training. No service needs to run."""

    command: PeopleCommand


@dataclass(frozen=True, kw_only=True)
class Verify(GalleryOptions):
    """Compare the most prominent faces of two pictures: the same person or not. Nobody needs to be enrolled."""

    first: Positional[Path]
    """A picture."""
    second: Positional[Path]
    """Another picture."""
    model: Model = None
    """The recognizer: accurate, default, or a file. By default what FACEREC_MODEL says, or the one that the gallery was
    made with, or accurate."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train the models, as train.py does: `facerec train --help`. Needs the packages of the extra `train`."""

    arguments: Positional[tuple[str, ...]] = ()
    """Options and subcommands of train.py."""


Command = (
    Annotated[Serve, subcommand("serve")]
    | Annotated[People, subcommand("people")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Train, subcommand("train")]
)
