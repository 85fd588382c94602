"""The service's settings, read from environment variables once and validated at start."""

import contextlib
import os
import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyNetwork, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from facerec.inference.cpus import available_cpus
from facerec.inference.jobs import WorkerOptions
from facerec.inference.model_file import DETECTOR_FILE, LANDMARKS_FILE, shipped_models, shipped_recognizers
from facerec.people.location import default_location
from facerec.people.reader import open_database

Framing = Literal["auto", "centre"]
"""The API's names of the crop modes: `auto` is the crop mode `detect`."""

_PREFIX = "FACEREC_"
_MODEL_FOLDER = shipped_models()
SHIPPED_RECOGNIZERS = shipped_recognizers()
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?")
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_KUBERNETES_VARIABLE = re.compile(
    r"FACEREC_(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT_\d+_(TCP|UDP|SCTP)\w*=|PORT=(tcp|udp|sctp)://).*"
)


def _split_list(value: Any) -> Any:
    """Environment variables hold lists as `a,b,c`."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _refuse_empty(value: Any) -> Any:
    """An empty variable would be the path of the current folder."""
    if value == "":
        raise ValueError("must name a file, or be unset")
    return value


def _find_model(value: Any) -> Any:
    """The words of `SHIPPED_RECOGNIZERS` stand for their files; anything else is a path."""
    return SHIPPED_RECOGNIZERS.get(value, value) if isinstance(value, str) else value


def _check_gallery(location: str | Path) -> str | Path:
    open_database(location).close()
    return location or default_location()


def _check_key(key: SecretStr | None) -> SecretStr | None:
    text = "unset" if key is None else key.get_secret_value()
    if not (text and text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("must be visible ASCII characters without spaces, or unset for a service without a key")
    return key


def _default_workers() -> int:
    given = os.environ.get("WEB_CONCURRENCY", "")
    return int(given) if given.isdecimal() and int(given) else available_cpus()


def _check_contact(contact: str) -> str:
    if not re.fullmatch("[!-~]+", contact) or set(contact) & set("()"):
        raise ValueError("must be an e-mail address or URL of visible ASCII characters without parentheses, or unset")
    return contact


def _check_ca_file(path: Path) -> Path:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with contextlib.suppress(OSError):  # missing, unreadable, or without a certificate
        context.load_verify_locations(path)
    if not context.cert_store_stats()["x509"]:
        raise ValueError("must be a readable PEM file with at least one certificate, or unset")
    return path


def _check_origin(origin: str) -> str:
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("must be origins as browsers send them, in lower case and without a path: https://example.org")
    return origin


def _check_root_path(path: str) -> str:
    if not _ROOT_PATH.fullmatch(path):
        raise ValueError("must be a path that starts with a slash and does not end with one: /faces")
    return path


def _is_kubernetes_variable(name: str, value: str) -> bool:
    """Whether Kubernetes sets this variable for a service that is called `facerec`, or `facerec-` and more.

    It describes addresses of other services (https://kubernetes.io/docs/concepts/services-networking/service/), and is
    no setting. `FACEREC_PORT` is one only with a value such as `tcp://10.0.0.1:8000`.
    """
    return bool(_KUBERNETES_VARIABLE.fullmatch(f"{name}={value}"))


class Settings(BaseSettings):
    """The settings. Each is read from FACEREC_NAME, except API_KEY and PORT, which hosting platforms name so."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid", validate_by_name=True)

    model: Annotated[Path | None, BeforeValidator(_find_model), BeforeValidator(_refuse_empty)] = None
    """The recognizer's file, or `default` or `accurate` for one in `model/`. `None` takes the one of these that the
    gallery was made with, and `default` for an empty gallery."""
    detector: Annotated[Path, BeforeValidator(_refuse_empty), Field(validation_alias="FACEREC_LOCATOR")] = (
        _MODEL_FOLDER / DETECTOR_FILE
    )
    """The face detector's file."""
    landmarks: Annotated[Path, BeforeValidator(_refuse_empty)] = _MODEL_FOLDER / LANDMARKS_FILE
    """The landmark predictor's file."""
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Cosine similarity below which a face belongs to nobody who is known. `None` takes the model file's."""
    gallery: Annotated[str | Path, AfterValidator(_check_gallery)] = Field(default_factory=default_location)
    """Where enrolled people are: path of a SQLite file, or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`."""
    shipped_people: bool = True
    """Whether the people whom the model's file knows are recognized beside those who are enrolled."""
    framing: Framing = "auto"
    """Default crop mode for requests that omit it."""
    max_faces: Annotated[int, Field(ge=1, le=100)] = 20
    """Faces of one picture that are recognized, the most prominent ones."""
    api_key: Annotated[SecretStr | None, AfterValidator(_check_key)] = Field(default=None, validation_alias="API_KEY")
    """Key that clients must send as `Authorization: Bearer KEY`. `None` lets every client call, and nobody enrol."""
    cors_origins: Annotated[
        tuple[Annotated[str, AfterValidator(_check_origin)], ...], NoDecode, BeforeValidator(_split_list)
    ] = ()
    """Origins of web pages that may call the service from a browser (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

    # Limits of fetching.
    deadline: Annotated[float, Field(gt=0, le=300)] = 10
    """Seconds for a whole fetch: look-up, connecting, TLS, headers, body and redirects."""
    max_redirects: Annotated[int, Field(ge=0, le=10)] = 3
    """Redirects that are followed."""
    allowed_ports: Annotated[
        frozenset[Annotated[int, Field(ge=1, le=65535)]], NoDecode, BeforeValidator(_split_list)
    ] = frozenset()
    """Ports that may be fetched from, besides 80 and 443."""
    allowed_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_split_list)] = ()
    """Networks that may be fetched from besides the public ones, such as an intranet's `10.1.0.0/16`."""
    ca_file: Annotated[Path, AfterValidator(_check_ca_file)] | None = None
    """PEM file of certificate authorities that are trusted in addition to the usual ones, such as an intranet's."""
    contact: Annotated[str, AfterValidator(_check_contact)] | None = None
    """E-mail address or URL of the operator, which the pictures' servers see in the User-Agent."""

    # Limits of one picture or request.
    max_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 10 * 2**20
    """Bytes of one picture, whether fetched, uploaded or in a `data:` URL."""
    max_pixels: Annotated[int, Field(ge=250 * 250, le=89_478_485)] = 25_000_000
    """Pixels of one picture that are decoded: 25 million for a 24-megapixel camera. Larger JPEGs are decoded at reduced
    size, up to eight times as many pixels."""
    picture_seconds: Annotated[float, Field(gt=0, le=300)] = 5
    """Seconds of CPU time that one picture may take."""
    body_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    """Seconds in which a request body must arrive."""

    # Limits of concurrent work. What exceeds them is refused with status 503.
    max_bodies: Annotated[int, Field(ge=1)] = 10
    """Request bodies of the largest size in memory at the same time. Smaller ones count in proportion to their size."""
    max_fetches: Annotated[int, Field(ge=1)] = 32
    """Fetches at the same time."""
    workers: Annotated[int, Field(ge=1)] = Field(default_factory=_default_workers)
    """Worker processes, each of which decodes and recognizes one picture at a time. The default is WEB_CONCURRENCY,
    which hosting platforms set, or else the CPUs of the affinity and the cgroup quota."""
    max_waiting: Annotated[int, Field(ge=0)] = 64
    """Pictures that may be queued for decoding and recognition."""
    worker_memory: Annotated[int, Field(ge=192 * 2**20)] = 2**30
    """Bytes of memory that one worker process may take, of which 120 MB (default model) or 150 MB are the models and
    libraries."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads that compute one picture. Several pictures at a time use the CPUs better than several threads for one."""

    # The server that `python predict.py` starts.
    host: str = "0.0.0.0"  # noqa: S104 - a service is there to be reached
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535, validation_alias="PORT")] = 8000
    """Port to listen on; 0 chooses a free one."""
    shutdown_seconds: Annotated[int, Field(ge=1)] = 15
    """Seconds that requests in progress may take to finish after SIGTERM."""
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = 75
    """Seconds until an idle connection is closed. A load balancer in front must be the first to close one, most do so
    after 60 s: otherwise it sends a request into a closing connection, and its client gets status 502."""
    root_path: Annotated[str, AfterValidator(_check_root_path)] = ""
    """Prefix of the path that a proxy in front strips, such as `/faces`."""

    @property
    def max_body_bytes(self) -> int:
        """Bytes of a request body: a picture in base64 (4 bytes for 3) and 64 KiB for the fields around it."""
        return self.max_bytes * 4 // 3 + 64 * 1024

    def worker_options(self, recognizer: Path) -> WorkerOptions:
        """What a worker process loads, and what it may take. `recognizer` is the recognizer's file."""
        return WorkerOptions(
            recognizer=recognizer.absolute(),
            detector=self.detector.absolute(),
            landmarks=self.landmarks.absolute(),
            threads=self.threads,
            max_bytes=self.max_bytes,
            max_pixels=self.max_pixels,
            max_faces=self.max_faces,
            memory_bytes=self.worker_memory,
            cpu_seconds=self.picture_seconds,
        )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment without `FACEREC_PORT`: `validate_by_name` would let it set the port."""
        environment = EnvSettingsSource(settings_cls)
        environment.env_vars = {name: value for name, value in environment.env_vars.items() if name != "facerec_port"}
        return init_settings, environment

    @classmethod
    def from_environment(cls) -> Self:
        """The settings of the environment variables, and defaults for the rest.

        Raises:
            SystemExit: a variable is unknown or invalid. The message has one line for each, without its value.
        """
        known = {str(field.validation_alias or _variable(name)) for name, field in cls.model_fields.items()}
        problems = {
            name: "no such setting"
            for name, value in os.environ.items()
            if name.startswith(_PREFIX) and name not in known and not _is_kubernetes_variable(name, value)
        }
        try:
            settings = cls()
        except ValidationError as error:
            problems |= {_variable(problem["loc"][0]): problem["msg"] for problem in error.errors()}
        if problems:
            raise SystemExit("\n".join(f"{name}: {problem}" for name, problem in sorted(problems.items())))
        return settings


def _variable(field: int | str) -> str:
    """The environment variable of a field. Fields with an alias are reported under the alias, which is upper case."""
    name = str(field)
    return name if name.isupper() else (_PREFIX + name).upper()
