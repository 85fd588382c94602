"""Where the gallery is: the same for the service, the command line and the Python API."""

import os
from pathlib import Path

from platformdirs import user_data_path

VARIABLE = "FACEREC_GALLERY"
"""Environment variable with the location of the gallery."""


def default_location() -> Path:
    """`people.sqlite` in the folder where the system keeps the user's data, such as `~/.local/share/facerec` on Linux.

    The file is made with the first person.
    """
    return user_data_path("facerec", appauthor=False) / "people.sqlite"


def gallery_location(given: str | Path | None = None) -> str | Path:
    """`given`, or else what the environment variable FACEREC_GALLERY holds, or else `default_location`.

    The result is the path of a SQLite file or a URL, see `PeopleStore`.
    """
    return given or os.environ.get(VARIABLE) or default_location()
