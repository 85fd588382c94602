"""A gallery in a PostgreSQL database, which several replicas of a service may share."""

from sqlalchemy import URL, create_engine

from facerec.people.database import LOCK_SECONDS, Database
from facerec.people.errors import StoreDamaged, StoreError, StoreFull, StoreNotWritable, StoreUnavailable

_CONNECT_SECONDS = 5
_UNACKNOWLEDGED_MS = 10_000
"""Milliseconds after which a connection whose server no longer answers is given up."""

_LIMIT_LOCKS = f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"
"""For all transactions: an operator's VACUUM FULL or forgotten LOCK TABLE would keep readers waiting without a limit.
"""
_ADVISORY_LOCK = 0xFACE
"""The number of the lock that a change takes. Others must not use it in the same database."""

_ERROR_TYPES: dict[str, type[StoreError]] = {
    "53100": StoreFull,
    "XX001": StoreDamaged,
    "XX002": StoreDamaged,
    "42P01": StoreDamaged,  # a table is missing
    "42703": StoreDamaged,  # a column is missing
}
"""By SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

_NO_RIGHT = {"42501", "25006"}
"""The SQLSTATEs of a user without the right, and of a server or transaction that only reads."""


class PostgresqlDatabase(Database):
    """A PostgreSQL database of the gallery's own. Connections that were lost are opened anew.

    PostgreSQL keeps deleted rows until its next VACUUM, and in its write-ahead log and backups.
    """

    begin_read = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", _LIMIT_LOCKS)
    begin_write = (
        _LIMIT_LOCKS,
        f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})",
    )

    def __init__(self, url: URL) -> None:
        limits = {"connect_timeout": _CONNECT_SECONDS, "tcp_user_timeout": _UNACKNOWLEDGED_MS}
        super().__init__(create_engine(url, connect_args=limits, pool_pre_ping=True, hide_parameters=True))

    def exists(self) -> bool:
        return True

    def create(self) -> None:
        """Nothing: the operator creates the database."""

    def erase_deleted(self) -> None:
        """Nothing: PostgreSQL cleans up by itself."""

    def error_type(self, error: BaseException, *, writing: bool) -> type[StoreError] | None:
        state = getattr(error, "sqlstate", None) or ""
        if state in _NO_RIGHT:
            return StoreNotWritable if writing else StoreUnavailable
        return _ERROR_TYPES.get(state)
