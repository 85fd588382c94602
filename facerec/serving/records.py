"""What is known of a request while it is answered: what its line in the log will say."""

import traceback
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class PictureRecord:
    """What is known of one picture of a request."""

    host: str | None = None
    """Of the URL; the rest of it may hold secrets."""
    outcome: str = "ok"
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    """By stage."""


@dataclass
class RequestRecord:
    """What is known of a request; `scope["state"]["record"]` holds it."""

    id: str
    outcome: str = "ok"
    status: int | None = None
    raised: str | None = None
    """Type and place of an unexpected exception; its message could quote the caller."""
    pictures: list[PictureRecord] = field(default_factory=list)

    def unexpected(self, exception: Exception) -> None:
        """Keep what may be told of an exception that nobody foresaw."""
        frame = traceback.extract_tb(exception.__traceback__)[-1]
        self.raised = f"{type(exception).__name__} at {Path(frame.filename).name}:{frame.lineno}"

    def picture(self) -> PictureRecord:
        """The record of a further picture."""
        self.pictures.append(PictureRecord())
        return self.pictures[-1]
