from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr, ValidationError

from facerec.inference.cpus import available_cpus
from facerec.serving.settings import Settings
from tests.shipped import ACCURATE_RECOGNIZER, DETECTOR, LANDMARKS, RECOGNIZER


def test_the_defaults_open_nothing() -> None:
    settings = Settings.from_environment()
    assert settings.allowed_networks == ()
    assert settings.allowed_ports == frozenset()
    assert settings.api_key is None
    assert settings.workers == available_cpus()
    assert settings.cors_origins == ()
    assert settings.threads == 1


def test_a_platform_s_number_of_workers_is_taken_where_none_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "7")
    assert Settings.from_environment().workers == 7
    monkeypatch.setenv("FACEREC_WORKERS", "3")
    assert Settings.from_environment().workers == 3
    monkeypatch.delenv("FACEREC_WORKERS")
    for unusable in ("", "auto", "0", "-1"):
        monkeypatch.setenv("WEB_CONCURRENCY", unusable)
        assert Settings.from_environment().workers == available_cpus()


def test_by_default_faces_are_looked_for_by_the_shipped_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FACEREC_FRAMING", "FACEREC_LOCATOR", "FACEREC_LANDMARKS"):
        monkeypatch.delenv(name)
    settings = Settings.from_environment()
    assert (settings.framing, settings.max_faces) == ("auto", 20)
    assert (settings.detector, settings.landmarks) == (DETECTOR, LANDMARKS)


def test_the_shipped_models_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_environment().model is None  # the one that the gallery was made with
    for value, path in {
        "default": RECOGNIZER,
        "accurate": ACCURATE_RECOGNIZER,
        "./accurate": Path("accurate"),
        "Accurate": Path("Accurate"),
    }.items():
        monkeypatch.setenv("FACEREC_MODEL", value)
        assert Settings.from_environment().model == path


def test_each_setting_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "FACEREC_DEADLINE": "2.5",
        "FACEREC_MODEL": "/models/m.onnx",
        "FACEREC_LANDMARKS": "/models/l.onnx",
        "FACEREC_ALLOWED_PORTS": "8080, 9000",
        "FACEREC_ALLOWED_NETWORKS": "10.1.0.0/16,fd00::/8",
        "FACEREC_THRESHOLD": "0.5",
        "FACEREC_ROOT_PATH": "/faces/v1",
        "FACEREC_CORS_ORIGINS": "https://example.org, http://[::1]:8080",
        "FACEREC_KEEP_ALIVE_SECONDS": "100",
        "API_KEY": "secret",
        "PORT": "9",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert settings.deadline == 2.5
    assert settings.model == Path("/models/m.onnx")
    assert settings.landmarks == Path("/models/l.onnx")
    assert settings.allowed_ports == {8080, 9000}
    assert settings.allowed_networks == (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert settings.threshold == 0.5
    assert settings.root_path == "/faces/v1"
    assert settings.cors_origins == ("https://example.org", "http://[::1]:8080")
    assert settings.keep_alive_seconds == 100
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "secret"
    assert settings.port == 9


def test_every_bad_variable_has_its_line_and_no_value_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {
        "FACEREC_DEADLINE": "soon",
        "FACEREC_ALLOWED_NETWORKS": "10.1.2.3/16",
        "FACEREC_ALLOWED_PORTS": "80,http",
        "FACEREC_MODEL": "",
        "FACEREC_LOCATOR": "",
        "FACEREC_LANDMARKS": "",
        "FACEREC_MAX_PIXELS": "999999999999",
        "FACEREC_DEADLIN": "typo",
        "FACEREC_FRAMING": "middle",
        "FACEREC_PORT": "8123",
        "FACEREC_ROOT_PATH": "faces/",
        "FACEREC_CORS_ORIGINS": "https://example.org/",
        "FACEREC_MAX_FACES": "-20",
        "FACEREC_CONTACT": "(me)\r\nX: y",
        "FACEREC_CA_FILE": "/nowhere/ca.pem",
        "API_KEY": "two words",
        "PORT": "eighty",
    }
    for name, value in bad.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as exit_info:
        Settings.from_environment()
    lines = str(exit_info.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == sorted(bad)
    assert not any(value in str(exit_info.value) for value in bad.values() if value)


def test_an_empty_key_is_no_key_that_one_could_have_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "")
    with pytest.raises(SystemExit, match="API_KEY"):
        Settings.from_environment()


@pytest.mark.parametrize("contact", ["", "a b", "a(b)", "ä@example.com", "a\tb"])
def test_a_contact_that_is_no_address_is_refused(contact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_CONTACT", contact)
    with pytest.raises(SystemExit, match=r"^FACEREC_CONTACT: .*e-mail address or URL"):
        Settings.from_environment()


def test_a_file_of_authorities_must_hold_a_certificate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    monkeypatch.setenv("FACEREC_CA_FILE", str(path))
    authority = trustme.CA()
    for content in (None, b"", b"nonsense", authority.private_key_pem.bytes()):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SystemExit, match=r"^FACEREC_CA_FILE: .*at least one certificate"):
            Settings.from_environment()
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("FACEREC_CONTACT", "https://example.com/about")
    settings = Settings.from_environment()
    assert (settings.ca_file, settings.contact) == (path, "https://example.com/about")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().deadline = 5
    assert "secret" not in repr(Settings(api_key=SecretStr("secret")))


@pytest.mark.parametrize(
    "origin", ["*", "example.org", "https://Example.org", "https://a.org/b", "https://u@a.org", "null"]
)
def test_what_no_browser_sends_as_an_origin_is_refused(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("FACEREC_CORS_ORIGINS", f"https://example.org,{origin}")
    with pytest.raises(SystemExit, match="FACEREC_CORS_ORIGINS: "):
        Settings.from_environment()


@pytest.mark.parametrize("service", ["FACEREC", "FACEREC_API"])
def test_variables_that_kubernetes_sets_are_no_settings(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    for name, value in {
        "SERVICE_HOST": "10.0.0.11",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "PORT": "tcp://10.0.0.11:8000",
        "PORT_8000_TCP": "tcp://10.0.0.11:8000",
        "PORT_8000_TCP_PROTO": "tcp",
        "PORT_8000_TCP_PORT": "8000",
        "PORT_8000_TCP_ADDR": "10.0.0.11",
    }.items():
        monkeypatch.setenv(f"{service}_{name}", value)
    assert Settings.from_environment().port == 8000
