"""What the service tells its operator: the records behind the log lines, and the metrics for Prometheus."""

from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from facerec.errors import raised_at
from facerec.inference.errors import WorkerFault
from facerec.inference.results import Trace
from facerec.pictures.bounded_pool import Slots
from facerec.serving.errors import Overloaded


@dataclass
class PictureRecord(Trace):
    """What the log says about one picture of a request."""

    host: str | None = None
    """Host of the picture's URL. The rest of the URL may hold secrets and is not kept."""
    outcome: str = "ok"
    """`ok`, `cancelled`, or the code of the error."""


@dataclass
class RequestRecord:
    """What the log says about a request. `scope["state"]["record"]` holds it while the request is answered."""

    id: str
    outcome: str = "ok"
    """`ok`, `client_gone`, or the code of the error."""
    status: int | None = None
    """HTTP status, once the answer has begun."""
    raised: str | None = None
    """Type and place of an unexpected exception. Its message is not kept, because it could quote the client."""
    pictures: list[PictureRecord] = field(default_factory=list)

    def keep_exception(self, exception: Exception) -> None:
        """Keep the type and the place of an unexpected exception, which a worker's fault has as its message."""
        self.raised = str(exception) if isinstance(exception, WorkerFault) else raised_at(exception)

    def add_picture(self) -> PictureRecord:
        """Add the record of a further picture."""
        self.pictures.append(PictureRecord())
        return self.pictures[-1]


class PrometheusMetrics:
    """The service's metrics. No label holds anything that a client sends."""

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
        self._replaced = Gauge(
            "facerec_workers_replaced",
            "Worker processes that ended, most at a picture's limit of memory or CPU time, and were replaced",
            registry=self._registry,
        )

    def watch(self, slots: Slots) -> None:
        """Report how many of `slots` are in use."""
        self._in_flight.labels(slots.name).set_function(lambda: slots.in_use)

    def watch_replaced(self, replaced: Callable[[], int]) -> None:
        """Report how many worker processes were replaced."""
        self._replaced.set_function(replaced)

    def count(self, route: str, record: RequestRecord) -> None:
        """Count an answered request and observe the stages of its pictures."""
        self._requests.labels(route, record.outcome).inc()
        outcomes = [picture.outcome for picture in record.pictures] or [record.outcome]
        self._rejected.inc(outcomes.count(Overloaded.code))
        for picture in record.pictures:
            for stage, milliseconds in picture.milliseconds.items():
                self._stages.labels(stage).observe(milliseconds / 1000)

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)
