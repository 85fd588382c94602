import tomllib
from pathlib import Path

import facerec


def test_the_package_and_the_project_have_one_version() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["version"] == facerec.__version__
