"""A real S3-compatible server (moto's) in a process of its own."""

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from s3fs import S3FileSystem

_KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


class S3Server(NamedTuple):
    """A running server, which the environment variables of this process lead to."""

    url: str

    def refuse(self) -> None:
        """Refuse every request of callers who are not known from now on, and nobody is known."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        urllib.request.urlopen(request).close()

    def put(self, bucket: str, **objects: bytes) -> None:
        """Make a bucket with these objects."""
        files = self.files
        files.mkdir(bucket)
        for key, content in objects.items():
            files.pipe_file(f"{bucket}/{key}", content)

    @property
    def files(self) -> S3FileSystem:
        """The server's buckets."""
        return S3FileSystem()


@contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """A server without buckets on a free port, as long as the block lasts."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stderr
            url = next(match[0] for line in process.stderr if (match := re.search(r"http://127.0.0.1:\d+", line)))
            for name, value in _KEYS.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("AWS_ENDPOINT_URL", url)
            S3FileSystem.clear_instance_cache()
            yield S3Server(url)
        finally:
            S3FileSystem.clear_instance_cache()
            process.kill()
