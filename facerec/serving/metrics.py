"""What Prometheus sees."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from facerec.serving.errors import Overloaded
from facerec.serving.gate import Gate
from facerec.serving.records import PictureRecord, RequestRecord


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
