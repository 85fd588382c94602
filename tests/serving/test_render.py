"""render.yaml starts a service: an unknown or bad setting would only show once it is deployed."""

import re
from pathlib import Path

import pytest

from facerec.serving.server import _MAX_WAITING_BYTES
from facerec.serving.settings import Settings

BLUEPRINT = Path(__file__).parents[2] / "render.yaml"
BELOW_DEFAULT = {"max_bodies", "max_bytes", "max_pixels", "max_fetches", "max_waiting", "worker_memory"}
FIXED = {"workers"}  # by default as many as there are CPUs


def test_the_settings_of_the_blueprint_are_valid_and_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = dict(re.findall(r'key: (\w+)\n +value: "(.*)"', BLUEPRINT.read_text()))
    assert variables
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    for name in {variable.removeprefix("FACEREC_").lower() for variable in variables} - FIXED:
        value, default = getattr(settings, name), Settings.model_fields[name].default
        assert value < default if name in BELOW_DEFAULT else value == default, name
    assert worst_case(settings) <= 512e6


def worst_case(settings: Settings) -> float:
    """Bytes of memory that the service may need, by the sum in docs/security.md."""
    bodies = 2 * settings.max_bodies * settings.max_body_bytes
    fetched = (2 * settings.max_fetches + settings.max_waiting) * settings.max_bytes
    return 85e6 + _MAX_WAITING_BYTES + bodies + fetched + settings.workers * settings.worker_memory
