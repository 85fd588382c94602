"""The subcommands of `facerec` and their options. The command line is derived from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg, subcommand

Model = Annotated[str | None, arg(metavar="FILE|accurate|default")]
"""The recognizer: a file, or a word for one of the shipped ones."""

Yes = Annotated[bool, arg(help="Change sidecars without asking.")]


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
    """Enrol the people of a folder: FOLDER/NAME/*.jpg, or PNG, WebP, HEIC, AVIF, TIFF, GIF, BMP. With --from-xmp, enrol
    the faces that are named in the metadata of photos.

    Run again, it adds the pictures that are new.
    """

    folder: Positional[Path]
    """A folder with a folder for each person. In each picture, that person's face should be the most prominent. With
    --from-xmp, any folder of photos."""
    from_xmp: bool = False
    """Take the faces that people or other programs have named, as digiKam, Lightroom and Picasa keep them: in sidecars,
    in the photos, or in .picasa.ini. Names that `facerec label --xmp` wrote are passed over."""
    model: Model = None
    """The recognizer: accurate, default, or a file. By default what FACEREC_MODEL says, or the one that the gallery was
    made with, or accurate."""
    force: bool = False
    """Also take faces that are unlike the person's other pictures, or very like another person."""


@dataclass(frozen=True, kw_only=True)
class NameGroup(GalleryOptions):
    """Enrol the faces of a group of unknown faces that `facerec label --group` has found. No picture is read."""

    group: Positional[Annotated[str, arg(metavar="GROUP")]]
    """The group's name, such as g12, as the report of `facerec label` shows it."""
    name: Positional[Annotated[str, arg(metavar="NAME")]]
    """The person's name. Somebody who is enrolled already gets the faces as well."""
    labels: Annotated[Path, arg(metavar="FOLDER")]
    """The folder that `facerec label` has written."""
    model: Model = None
    """The recognizer: accurate, default, or a file. By default the one that made the labels, if it is shipped or
    FACEREC_MODEL names it."""
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
    | Annotated[NameGroup, subcommand("name")]
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
class Label(GalleryOptions):
    """Label a whole archive: who is in which picture, in a table and in the photos' own metadata.

    Run again, it goes on where it was, and does the pictures that are new or have changed. Pictures are only read.
    """

    paths: Annotated[Positional[tuple[str, ...]], arg(metavar="PATH ...")] = ()
    """Folders, patterns such as 'photos/**/*.jpg', files, addresses such as s3://BUCKET/FOLDER, or URLs of pictures."""
    output: Annotated[str, arg(metavar="FOLDER|FILE|-")]
    """Where the labels go: a folder, which keeps what was done, or a new file that ends in .parquet, .csv or .jsonl, or
    - for JSON lines on standard output."""
    list_file: Annotated[Path | None, arg(name="list", metavar="FILE")] = None
    """A text file with further paths, one a line."""
    model: Model = None
    """The recognizer: accurate, default, or a file. By default what FACEREC_MODEL says, or the one that the gallery was
    made with, or accurate."""
    workers: Annotated[int | None, arg(metavar="N")] = None
    """Number of processes. By default one for each CPU."""
    ray: Annotated[str | None, arg(metavar="ADDRESS")] = None
    """Label on the machines of a Ray cluster: HOST:PORT, or auto for the cluster that this machine is in. Needs the
    extra `ray`, see docs/archives.md."""
    shipped_people: bool = True
    """Name the people of the gallery alone, and not those whom the model knows."""
    group: bool = False
    """Also give the faces of unknown people groups, one for each person: g1, g2 and so on. `facerec people name` gives
    such a group a name."""
    report: Annotated[Path | None, arg(metavar="FILE.html")] = None
    """Also write a page that shows known people, groups of unknown people, and errors."""
    xmp: bool = False
    """Also write the names to a sidecar beside each photo of this machine: photo.jpg.xmp. What others wrote there is
    kept. First it says how many sidecars change, and asks."""
    yes: Yes = False


@dataclass(frozen=True, kw_only=True)
class Unlabel:
    """Take the names out of the sidecars again that `facerec label --xmp` wrote. What others wrote stays."""

    paths: Annotated[Positional[tuple[str, ...]], arg(metavar="PATH ...")]
    """Folders, patterns and photos. The photos may be gone."""
    yes: Yes = False


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train the models, as train.py does: `facerec train --help`. Needs the packages of the extra `train`."""

    arguments: Positional[tuple[str, ...]] = ()
    """Options and subcommands of train.py."""


Command = (
    Annotated[Serve, subcommand("serve")]
    | Annotated[People, subcommand("people")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Label, subcommand("label")]
    | Annotated[Unlabel, subcommand("unlabel")]
    | Annotated[Train, subcommand("train")]
)
