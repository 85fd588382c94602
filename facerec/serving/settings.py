"""What the operator may set, each from one environment variable, read once and validated at start."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyNetwork, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from facerec.inference.cpus import available_cpus

Framing = Literal["auto", "centre"]
"""What the API and its setting call the crop modes `detect` and `centre`."""

_PREFIX = "FACEREC_"
_MODELS = Path(__file__).parents[2] / "model"


def _listed(value: Any) -> Any:
    """Environment variables hold lists as `a,b,c`."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _bearer_token(key: SecretStr | None) -> SecretStr | None:
    text = "unset" if key is None else key.get_secret_value()
    if not (text and text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("must be visible ASCII characters without spaces, or unset for a service without a key")
    return key


class Settings(BaseSettings):
    """The service's settings: FACEREC_<NAME>, but API_KEY and PORT as hosting platforms call them."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid", validate_by_name=True)

    model: Path = _MODELS / "face_recognition.onnx"
    detector: Annotated[Path, Field(validation_alias="FACEREC_LOCATOR")] = _MODELS / "face_detector.onnx"
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Cosine similarity under which a face is a stranger's; None takes the one in the model file."""
    framing: Framing = "auto"
    """Of requests that don't say."""
    max_faces: Annotated[int, Field(ge=1, le=100)] = 20
    """Faces of one picture that are recognized, the most prominent ones."""
    api_key: Annotated[SecretStr | None, AfterValidator(_bearer_token)] = Field(
        default=None, validation_alias="API_KEY"
    )
    """Callers must send it as `Authorization: Bearer KEY`; None lets everyone in."""

    # What is fetched for a caller.
    deadline: Annotated[float, Field(gt=0, le=300)] = 10
    """Seconds for the whole fetch: look-up, connecting, TLS, headers, body and redirects."""
    max_redirects: Annotated[int, Field(ge=0, le=10)] = 3
    allowed_ports: Annotated[frozenset[Annotated[int, Field(ge=1, le=65535)]], NoDecode, BeforeValidator(_listed)] = (
        frozenset()
    )
    """Ports besides 80 and 443."""
    allowed_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_listed)] = ()
    """Networks besides the public ones, such as `10.1.0.0/16` of an intranet's picture store."""

    # What is read and decoded.
    max_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 10 * 2**20
    """Bytes of one picture, whether fetched, uploaded or in a data: URL."""
    max_pixels: Annotated[int, Field(ge=250 * 250, le=89_478_485)] = 25_000_000
    """Pixels of one picture (25 million: a 24-megapixel camera). The upper limit is Pillow's own."""
    body_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    """How long a caller may take to send a request."""

    # How much happens at once; what does not fit is refused with 503.
    max_bodies: Annotated[int, Field(ge=1)] = 10
    """Request bodies of the largest size in memory at once, and accordingly more of smaller ones."""
    max_fetches: Annotated[int, Field(ge=1)] = 32
    max_recognitions: Annotated[int, Field(ge=1)] = Field(default_factory=lambda: available_cpus() + 1)
    """Pictures that are decoded and recognized at once; by default one more than the CPUs of the affinity and cgroup
    quota: while one waits for the interpreter, the others compute."""
    max_waiting: Annotated[int, Field(ge=0)] = 64
    """Pictures that wait for their turn to be decoded and recognized."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads that one picture is computed with: several pictures at once use the CPUs better than several threads."""

    # How `python predict.py` serves.
    host: str = "0.0.0.0"  # noqa: S104 - a service is there to be reached
    port: Annotated[int, Field(ge=0, le=65535, validation_alias="PORT")] = 8000
    shutdown_seconds: Annotated[int, Field(ge=1)] = 15
    """After SIGTERM, how long requests in progress may take to finish."""

    @property
    def max_body_bytes(self) -> int:
        """Bytes of a request: a picture in base64 (4 bytes for 3), and room for what stands around it."""
        return self.max_bytes * 4 // 3 + 64 * 1024

    @classmethod
    def from_environment(cls) -> Self:
        """The settings that the environment variables name, defaults for the rest.

        Raises:
            SystemExit: a variable is unknown or has a bad value. One line for each, without the value.
        """
        known = {_variable(name) for name in cls.model_fields}
        problems = {name: "no such setting" for name in os.environ if name.startswith(_PREFIX) and name not in known}
        try:
            settings = cls()
        except ValidationError as error:
            problems |= {_variable(problem["loc"][0]): problem["msg"] for problem in error.errors()}
        if problems:
            raise SystemExit("\n".join(f"{name}: {problem}" for name, problem in sorted(problems.items())))
        return settings


def _variable(field: int | str) -> str:
    name = str(field)
    return name if name.isupper() else (_PREFIX + name).upper()
