"""A gallery in a SQLite file."""

import errno
import sqlite3
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from sqlalchemy import URL, create_engine, event
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from facerec.people.database import LOCK_SECONDS, Database
from facerec.people.errors import StoreDamaged, StoreError, StoreFull, StoreNotWritable, StoreUnavailable

_PRAGMAS = (
    "synchronous = FULL",  # a change survives a power failure when its transaction has ended
    "foreign_keys = ON",
    "secure_delete = ON",  # deleted rows are overwritten
)

_RETRY_SECONDS = 0.01
"""Between two attempts at a lock that SQLite does not wait for."""

_NO_CODE = 0
"""For errors of Python's module itself: a text is not UTF-8."""

_ERROR_TYPES: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_IOERR_WRITE: StoreFull,  # a quota, or a limit on the size of files
    sqlite3.SQLITE_IOERR_SHMSIZE: StoreFull,
    sqlite3.SQLITE_IOERR_SHORT_READ: StoreDamaged,  # the file is cut off
    _NO_CODE: StoreDamaged,
    sqlite3.SQLITE_CORRUPT: StoreDamaged,
    sqlite3.SQLITE_NOTADB: StoreDamaged,
    sqlite3.SQLITE_ERROR: StoreDamaged,  # a table or column is missing
}
"""By the code or primary code of SQLite (https://sqlite.org/rescode.html)."""

_NOT_WRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


class SqliteFile(Database):
    """A SQLite file. It is made with the first change, readable for its owner alone.

    While it is open, `FILE-wal` and `FILE-shm` are beside it and belong to it: close all stores before another file
    takes its place. A file in a folder that can't be written can be read, as long as no other process changes it.
    """

    begin_read = ("BEGIN",)
    begin_write = ("BEGIN IMMEDIATE",)

    def __init__(self, path: Path) -> None:
        url = URL.create("sqlite", database=str(path))
        engine = create_engine(url, creator=partial(_connect, path), hide_parameters=True)
        event.listen(engine, "connect", self._note_file)
        event.listen(engine, "checkout", self._check_file)
        super().__init__(engine)
        self._path = path

    def _note_file(self, _connection: object, record: ConnectionPoolEntry) -> None:
        """Note which file a new connection has open."""
        record.info["file"] = self._file_id()

    def _check_file(self, _connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
        """Let a connection be opened anew whose file was deleted or replaced by another. Its changes would be lost."""
        if record.info["file"] != self._file_id():
            raise DisconnectionError

    def _file_id(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def exists(self) -> bool:
        try:
            self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StoreUnavailable(reason=str(error)) from error
        return True

    def create(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            raise (StoreFull if full else StoreNotWritable)(reason=str(error)) from error

    def erase_deleted(self) -> None:
        # Deleted rows are overwritten in the file, but older copies of their pages may stand in the write-ahead log.
        # If a reader keeps the log for longer than LOCK_SECONDS, the next checkpoint or the last close erases it.
        with suppress(SQLAlchemyError), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def error_type(self, error: BaseException, *, writing: bool) -> type[StoreError] | None:
        if not isinstance(error, sqlite3.Error):
            return None
        code = _code(error)
        if writing and code & 0xFF in _NOT_WRITABLE:
            return StoreNotWritable
        return _ERROR_TYPES.get(code) or _ERROR_TYPES.get(code & 0xFF)


def _code(error: sqlite3.Error) -> int:
    """SQLite's extended result code of an error."""
    return getattr(error, "sqlite_errorcode", _NO_CODE)


def _connect(path: Path) -> sqlite3.Connection:
    """Open an existing file, for reading alone where its folder can't be written."""
    uri = path.absolute().as_uri()
    try:
        return _open(f"{uri}?mode=rw")
    except sqlite3.Error as error:
        wal = path.with_name(f"{path.name}-wal")
        unchanged = path.exists() and not (wal.exists() and wal.stat().st_size)
        if _code(error) & 0xFF not in _NOT_WRITABLE or not unchanged:
            raise
        return _open(f"{uri}?immutable=1")  # SQLite then needs no files beside it


def _open(uri: str) -> sqlite3.Connection:
    # isolation_level=None: transactions begin where `Database` begins them, not where Python's module guesses.
    connection = sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _write_ahead(connection)
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer of the file not wait for each other (https://sqlite.org/wal.html).

    The first connection changes the file. SQLite does not wait for the lock of this change, so it is tried again here.
    """
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _code(error) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return
