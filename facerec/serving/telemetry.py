"""What is known of a request while it is answered: what its line in the log will say."""

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from facerec.pictures.bounded_pool import Gate
from facerec.serving.errors import Overloaded


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


class Metrics:
    """The service's metrics. No label is made from what a caller sends."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "facerec_requests", "Requests by route and outcome", ["route", "outcome"], registry=self._registry
        )
        self._stages = Histogram(
            "facerec_stage_seconds", "Duration of the stages of a picture", ["stage"], registry=self._registry
        )
        self._in_flight = Gauge(
            "facerec_in_flight", "Work that runs or waits, by limit", ["limit"], registry=self._registry
        )
        self._rejected = Counter("facerec_rejected", "Requests and pictures refused: overload", registry=self._registry)

    def watch(self, gate: Gate) -> None:
        """Report how much `gate` holds."""
        self._in_flight.labels(gate.name).set_function(lambda: gate.held)

    @contextmanager
    def stage(self, name: str, picture: PictureRecord) -> Iterator[None]:
        """Time what is inside as stage `name` of `picture`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            picture.milliseconds[name] = round(seconds * 1000, 2)
            self._stages.labels(name).observe(seconds)

    def count(self, route: str, record: RequestRecord) -> None:
        """Count a request that has been answered."""
        self._requests.labels(route, record.outcome).inc()
        outcomes = [picture.outcome for picture in record.pictures] or [record.outcome]
        self._rejected.inc(outcomes.count(Overloaded.code))

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)
