"""A real PostgreSQL server of the machine's packages, for the tests alone."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from tests.harness import wait_until

USER, PASSWORD = "facerec", "s3cret/of@tests"


def postgresql_binaries() -> Path | None:
    """The folder with `initdb` and `postgres` of the newest installed version."""
    folders = [initdb.parent for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if path := shutil.which("initdb"):
        folders.append(Path(path).parent)
    return max(folders, key=str, default=None)


class PostgresqlServer:
    """A server with an empty cluster on the loopback interface. It runs as an ordinary user, which PostgreSQL asks for.

    Args:
        binaries: the folder with its programs.
    """

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.folder = Path(tempfile.mkdtemp(prefix="facerec-postgresql-"))
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self.folder, password):
                shutil.chown(path, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = [f"--username={USER}", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
        assert self._run("initdb", "-D", str(self.folder / "data"), "--locale=C.UTF-8", *options)
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers. After `kill`, the old one's processes have to end first."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",  # what was written survives the death of a process in any case
        }
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = self.folder / "log"
        for _ in range(40):
            started = self._run("pg_ctl", "start", "-w", "-D", str(self.folder / "data"), "-l", str(log), "-o", options)
            if started:
                return
            time.sleep(0.25)
        raise AssertionError(log.read_text())

    def kill(self) -> None:
        """End the server with SIGKILL, its children by its own doing."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            wait_until(lambda: "zombie" in Path(f"/proc/{pid}/status").read_text(), seconds=60)

    def stop(self) -> None:
        """End the server, breaking off what it does."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.folder / "data"))

    def remove(self) -> None:
        """End the server and delete its cluster."""
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        """The location of a database."""
        quoted = password.replace("/", "%2F").replace("@", "%40")
        return f"postgresql+psycopg://{user}:{quoted}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """The rows of a statement that runs outside of a transaction."""
        where = make_conninfo(host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname="postgres")
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> bool:
        """Whether one of PostgreSQL's programs succeeds."""
        command = [str(self._binaries / program), *arguments]
        user = self._user if os.geteuid() == 0 else None
        result = subprocess.run(
            command,
            cwd=self.folder,
            user=user,
            group=pwd.getpwnam(self._user).pw_gid if user else None,
            extra_groups=[] if user else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        return result.returncode == 0
