"""`facerec unlabel`: take what `facerec label --xmp` wrote out of sidecars."""

from facerec.commands.console import CommandError, say
from facerec.commands.options import Unlabel
from facerec.commands.sidecars import change_sidecars
from facerec.labelling.errors import PathError
from facerec.labelling.sidecars import Photo
from facerec.labelling.sources import find_sidecars


def unlabel(options: Unlabel) -> None:
    """Take our regions and keywords out of all sidecars that the paths name.

    Raises:
        CommandError: there are no paths, none can be searched, or there is no terminal to ask on.
    """
    if not options.paths:
        raise CommandError("give the paths of folders or photos")
    failed: list[str] = []

    def report(path: str, error: PathError) -> None:
        failed.append(path)
        say(f"{path}: {error}")

    found = sum(1 for _ in find_sidecars(options.paths, report))
    if failed and not found:
        raise CommandError("no sidecar was found: check the paths")
    change_sidecars(
        lambda: map(Photo.without_people, find_sidecars(options.paths, lambda *_: None)), found, yes=options.yes
    )
