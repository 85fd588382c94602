"""What the tests of the command share: a runner, a gallery, pictures of one face."""

import io
import sys
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from PIL import Image, ImageOps

from facerec.commands.main import main
from facerec.people.location import VARIABLE
from tests.training.landmarks.photograph import photograph


class Done(NamedTuple):
    """What a command has left."""

    code: int
    out: list[str]
    """Lines of the standard output."""
    err: list[str]


class Command(Protocol):
    """Runs `facerec` in this process."""

    def __call__(self, *arguments: str | Path) -> Done: ...


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The location of an empty gallery, which commands use."""
    path = tmp_path / "gallery" / "people.sqlite"
    monkeypatch.setenv(VARIABLE, str(path))
    monkeypatch.delenv("FACEREC_MODEL", raising=False)
    return path


@pytest.fixture
def facerec(gallery: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, on the gallery."""

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["facerec", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        code = ended.value.code or 0
        assert isinstance(code, int)
        return Done(code, out.splitlines(), err.splitlines())

    return run


@pytest.fixture(scope="session")
def hopper() -> list[bytes]:
    """Four pictures of Grace Hopper, each another file."""
    image = photograph()
    versions = [image, ImageOps.mirror(image), image.resize((400, 469)), ImageOps.autocontrast(image, cutoff=2)]
    return [_jpeg(version) for version in versions]


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()
