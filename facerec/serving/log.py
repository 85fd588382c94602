"""The log: lines of JSON on standard output.

A thread writes them, so that no request waits for whoever reads the log.
"""

import json
import logging
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from facerec.errors import raised_at

_MAX_LINES = 5000
"""Lines that wait to be written. Most have about 200 bytes, those of batches up to 5 kB."""
_FLUSH_SECONDS = 1
_COLLECT_SECONDS = 0.05
"""Seconds in which lines are collected before they are written. Waking the thread for each line would cost a twelfth of
the CPU time that a request takes besides its picture."""


class LogWriter:
    """Writes lines to a file descriptor without making the caller wait.

    A descriptor whose reader has stopped reading blocks the writer's thread alone. Lines that find the queue full are
    dropped and counted. The thread starts with the first line and ends with the process.

    Args:
        descriptor: where to write, standard output by default.

    Attributes:
        dropped: lines that were dropped so far.
    """

    def __init__(self, descriptor: int = 1) -> None:
        self.dropped = 0
        self._descriptor = descriptor
        self._lines: deque[str] = deque()
        self._writing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def write(self, line: str) -> None:
        """Queue a line, which has no line break of its own."""
        with self._changed:
            if len(self._lines) >= _MAX_LINES:
                self.dropped += 1
                return
            self._lines.append(line)
            self._changed.notify_all()
            if not self._thread:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Wait until all lines are written, but no longer than a second."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._lines or self._writing), _FLUSH_SECONDS)

    def _run(self) -> None:
        told = 0
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines)
            time.sleep(_COLLECT_SECONDS)
            with self._changed:
                if self.dropped > told:
                    self._lines.append(log_line("warning", "log", message=f"{self.dropped - told} lines were dropped"))
                    told = self.dropped
                data = "".join(line + "\n" for line in self._lines).encode()
                self._lines.clear()
                self._writing = True
            self._write(data)

    def _write(self, data: bytes) -> None:
        """Write to the descriptor itself: Python's streams have a lock, which the end of the process would wait for."""
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:  # nobody will read it
            with self._changed:
                self.dropped += 1


def log_line(level: str, logger: str, **fields: Any) -> str:
    """A line of JSON about the service itself."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"time": moment, "level": level, "logger": logger, **fields})


def route_logging(write: Callable[[str], None]) -> None:
    """Give `write` a line of JSON for all that libraries log, for warnings, and for exceptions that nobody catches."""

    def show_warning(  # noqa: PLR0917 - the signature is Python's
        message: Warning | str,  # noqa: ARG001 - it may quote what a client sent
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,  # noqa: ARG001
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        write(log_line("warning", "warnings", place=f"{Path(filename).name}:{lineno}", message=category.__name__))

    def thread_failed(args: threading.ExceptHookArgs) -> None:
        write(log_line("error", "threading", raised=raised_at(args.exc_value) if args.exc_value else None))

    def unraisable(args: "sys.UnraisableHookArgs") -> None:
        write(log_line("error", "python", raised=raised_at(args.exc_value) if args.exc_value else None))

    logging.basicConfig(handlers=[_JsonHandler(write)], level=logging.WARNING, force=True)
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)
    warnings.showwarning = show_warning
    threading.excepthook = thread_failed
    sys.unraisablehook = unraisable


class _JsonHandler(logging.Handler):
    """Makes a line of JSON of each record.

    The messages of uvicorn are written out. Those of other libraries may quote what a client sent: the line names only
    the place that logged them.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"place": f"{record.filename}:{record.lineno}"}
        if record.name.startswith("uvicorn."):
            fields["message"] = record.getMessage().strip()
        if record.exc_info and record.exc_info[1]:
            fields["raised"] = raised_at(record.exc_info[1])
        self._write(log_line(record.levelname.lower(), record.name, **fields))
