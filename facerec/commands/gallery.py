"""`facerec people list`, `remove`, `export` and `import`: what needs the gallery alone, and no model."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from facerec.commands.console import CommandError, print_table
from facerec.commands.options import ExportPeople, ImportPeople, ListPeople, RemovePerson
from facerec.people.errors import NameNotAllowed, UnknownPerson
from facerec.people.location import gallery_location
from facerec.people.portable import PeopleFileError, read_people, write_people
from facerec.people.reader import open_database, stored_embedding
from facerec.people.store import PeopleStore


def list_people(options: ListPeople) -> None:
    """Print who is enrolled, by name.

    Raises:
        CommandError, StoreError: the gallery is empty or can't be read.
    """
    with _opened(options.gallery) as store:
        people = sorted((person.name, len(person.embeddings)) for person in store.changes_since(0).changed)
    print_table(("name", "pictures"), *people)


def remove_person(options: RemovePerson) -> None:
    """Delete a person.

    Raises:
        CommandError: nobody has the name.
        StoreError: the gallery can't be changed.
    """
    with _opened(options.gallery) as store:
        try:
            person_id = store.find(options.name)
            if person_id is None:
                raise UnknownPerson
            store.delete_person(person_id)
        except (UnknownPerson, NameNotAllowed):
            raise CommandError(f"nobody is enrolled as {options.name!r}: see `facerec people list`") from None
    print_table((f"{options.name} is deleted.",))


def export_people(options: ExportPeople) -> None:
    """Write everybody to a file.

    Raises:
        CommandError: nobody is enrolled, or the file can't be written.
        StoreError: the gallery can't be read.
    """
    with _opened(options.gallery) as store:
        people = store.everybody()
        try:
            write_people(options.file, store.embedding, people)
        except PeopleFileError as error:
            raise CommandError(str(error)) from error
    pictures = sum(len(person.samples) for person in people)
    print_table((f"{len(people)} people with {pictures} pictures are in {options.file}.",))


def import_people(options: ImportPeople) -> None:
    """Add everybody of a file, or nobody if anything is wrong with it.

    Raises:
        CommandError: the file can't be used, or belongs to another model than the gallery.
        StoreError: the gallery can't be changed.
    """
    location = locate(options.gallery)
    try:
        file = read_people(options.file)
    except PeopleFileError as error:
        raise CommandError(str(error)) from error
    if stored_embedding(location) not in {None, file.embedding}:
        raise CommandError(
            f"the people of {options.file} were enrolled with another model than the gallery's: choose another "
            "gallery, or enrol them anew from their pictures with `facerec people add FOLDER`"
        )
    with closing(PeopleStore(location, file.embedding)) as store:
        added = store.add_people(file.people)
    given = sum(len(samples) for samples in file.people.values())
    print_table(
        (f"{added} of {given} pictures of {len(file.people)} people were added, the others were there already.",)
    )


def locate(given: str | None) -> str | Path:
    """The location of the gallery, see `gallery_location`.

    Raises:
        CommandError: it is a URL of another form.
    """
    location = gallery_location(given)
    try:
        open_database(location).close()
    except ValueError as error:
        raise CommandError(f"{error}") from None
    return location


def describe(location: str | Path) -> str:
    """The location in words. A URL may hold a password."""
    return "the database" if "://" in str(location) else str(location)


@contextmanager
def _opened(given: str | None) -> Iterator[PeopleStore]:
    """The store of a gallery that somebody is enrolled in.

    Raises:
        CommandError: nobody is enrolled yet.
        StoreError: it can't be read.
    """
    location = locate(given)
    if (embedding := stored_embedding(location)) is None:
        raise CommandError(f"nobody is enrolled in {describe(location)}: `facerec people add FOLDER` enrols people")
    with closing(PeopleStore(location, embedding)) as store:
        yield store
