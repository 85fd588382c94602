"""One measurement: a service, or the limit, under one kind of load for some seconds."""

import json
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Self

from benchmarks.contenders import Absent, Contender, serving
from benchmarks.limit import run_limit
from benchmarks.load import Outcome, ask, by_url, load, upload
from benchmarks.processes import cpu_seconds, free_port, peak_megabytes, reset_peak

_WARM_CLIENTS, _WARM_SECONDS = 4, 0.5
_START_SECONDS = 60


@dataclass(frozen=True)
class Cell:
    """What is measured."""

    contender: str
    picture: str
    way: str
    """How pictures come; for a limit, how many threads it has."""
    clients: int
    """0 for a limit."""


@dataclass(frozen=True)
class Figures:
    """What one measurement gave. Shares are of 1; CPU times are per answered request."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    refused: float
    failed: float
    cpu_ms: float
    peak_mb: float
    client_cpu_ms: float

    @classmethod
    def of(cls, outcome: Outcome, *, cpu: float, client_cpu: float, peak_mb: float) -> Self:
        """Figures of what the clients saw and of the CPU seconds that service and clients used.

        Raises:
            Absent: there are none, because not one request was answered.
        """
        answered = len(outcome.answered)
        asked = answered + outcome.refused + outcome.failed
        if not answered:
            raise Absent("answers nothing under load")
        milliseconds = sorted(1000 * (received - sent) for sent, received in outcome.answered)
        return cls(
            requests_per_second=answered / outcome.seconds,
            p50_ms=statistics.median(milliseconds),
            p99_ms=milliseconds[math.ceil(0.99 * answered) - 1],
            refused=outcome.refused / asked,
            failed=outcome.failed / asked,
            cpu_ms=1000 * cpu / answered,
            peak_mb=peak_mb,
            client_cpu_ms=1000 * client_cpu / answered,
        )


class World:
    """Clients and picture server, in one process beside the services; and what they send: pictures by kind."""

    def __init__(self, sent: Mapping[str, Sequence[bytes]], clients: Sequence[int], seconds: float) -> None:
        self._sent = sent
        self._clients = clients
        self._seconds = seconds
        self._pictures_port = free_port()

    def __enter__(self) -> Self:
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()

    def measure(self, contender: Contender, python: Path) -> Iterator[tuple[Cell, Figures]]:
        """Start `contender`; measure it with each kind of pictures, each way, each number of clients; end it.

        Raises:
            Absent: it does not start, or its answers are not what all contenders must answer.
        """
        with serving(contender, python, pictures_port=self._pictures_port) as (pid, port):
            for kind, pictures in self._sent.items():
                uploads = [upload(contender.upload_path, picture, contender.fields) for picture in pictures]
                urls = [f"http://127.0.0.1:{self._pictures_port}/{number}" for number in range(len(pictures))]
                by_urls = [by_url("/predict", url, contender.fields) for url in urls]
                _check(port, uploads[0])
                for way, requests in (("upload", uploads), ("URL", by_urls)):
                    self._load(port, requests, pictures, clients=_WARM_CLIENTS, seconds=_WARM_SECONDS)
                    for clients in self._clients:
                        reset_peak(pid)
                        before = cpu_seconds(pid)
                        outcome = self._load(port, requests, pictures, clients=clients, seconds=self._seconds)
                        used, peak_mb = cpu_seconds(pid) - before, peak_megabytes(pid)
                        yield (
                            Cell(contender.name, kind, way, clients),
                            Figures.of(outcome, cpu=used, client_cpu=outcome.cpu_seconds, peak_mb=peak_mb),
                        )

    def measure_limit(self, name: str, *, cpus: int) -> Iterator[tuple[Cell, Figures]]:
        """The bare loop over each kind of pictures in two forms, each in a process of its own."""
        for (kind, pictures), (threads, ort_threads) in product(self._sent.items(), ((cpus, 1), (1, cpus))):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                outcome, peak_mb = process.submit(
                    run_limit, name, pictures, threads=threads, ort_threads=ort_threads, seconds=self._seconds
                ).result()
            yield (
                Cell(name, kind, f"{threads} x {ort_threads} threads", 0),
                Figures.of(outcome, cpu=outcome.cpu_seconds, client_cpu=0, peak_mb=peak_mb),
            )

    def _load(
        self, port: int, requests: Sequence[bytes], pictures: Sequence[bytes], *, clients: int, seconds: float
    ) -> Outcome:
        return self._process.submit(
            load,
            port,
            requests,
            clients=clients,
            seconds=seconds,
            pictures=pictures,
            pictures_port=self._pictures_port,
        ).result()


def _check(port: int, request: bytes) -> None:
    """Wait for the first answer, and see that it has a probability for each person.

    Raises:
        Absent: it has not.
    """
    end = time.monotonic() + _START_SECONDS
    status, body = ask(port, request)
    while status >= 500 and time.monotonic() < end:  # it listens, but its workers are not there yet
        time.sleep(0.1)
        status, body = ask(port, request)
    if status != 200 or not math.isclose(sum(json.loads(body)["predictions"].values()), 1, abs_tol=1e-3):
        raise Absent(f"answers {status} {body[:200].decode(errors='replace')}")
