"""Write a report: one HTML file that needs neither scripts nor the network, and holds the pictures that it shows."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2

from facerec.labelling.part_file import finished_file
from facerec.labelling.parts import find_parts
from facerec.labelling.report.contents import read_contents
from facerec.labelling.report.crops import CROP_PIXELS, cut_crops
from facerec.pictures.fetch import FetchLimits

_TEMPLATE = Path(__file__).with_name("report.html.jinja")


def write_report(
    folder: Path,
    report: Path,
    limits: FetchLimits,
    *,
    max_pixels: int,
    naming_options: Sequence[str] = (),
    on_progress: Callable[[int, int], object] = lambda read, pictures: None,  # noqa: ARG005
) -> None:
    """Write a page that shows known people, groups of unknown people, and errors. An older one is replaced.

    Pictures are read anew for it, those of storages and URLs too. One that is gone or has changed is a grey tile.

    Args:
        folder: of labels.
        report: the page.
        limits: of fetching URLs. `max_bytes` is the limit of files too.
        max_pixels: pixels of a picture that are decoded.
        naming_options: words that follow `facerec people name` in the page's commands, such as `--gallery FILE`.
        on_progress: is told how many pictures of how many were read.

    Raises:
        LabelsNotFound: the folder has no labels.
        OutputError: the labels can't be read, or the page can't be written.
    """
    contents = read_contents(find_parts(folder))
    crops = cut_crops(contents.shown, limits, max_pixels=max_pixels, on_progress=on_progress)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE.parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = count
    page = environment.get_template(_TEMPLATE.name).stream(
        contents=contents,
        crops=crops,
        side=CROP_PIXELS,
        folder=folder,
        labels=shlex.quote(str(folder.absolute())),
        naming=shlex.join(naming_options),
    )
    with finished_file(report) as file:
        for text in page:
            file.write(text.encode("utf-8", "backslashreplace"))


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with the noun that it counts, such as `1,200 faces`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
