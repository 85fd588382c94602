"""Where the gallery is."""

from pathlib import Path

import pytest

from facerec.people.location import VARIABLE, default_location, gallery_location


def test_what_is_given_comes_before_the_variable_and_the_variable_before_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "of_the_variable.sqlite")
    assert gallery_location("given.sqlite") == "given.sqlite"
    assert gallery_location() == "of_the_variable.sqlite"
    for unset in (lambda: monkeypatch.setenv(VARIABLE, ""), lambda: monkeypatch.delenv(VARIABLE)):
        unset()
        assert gallery_location() == default_location() == tmp_path / "facerec" / "people.sqlite"
    assert not list(tmp_path.iterdir())  # a look makes nothing
