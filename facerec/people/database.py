"""Transactions on the database of a gallery, with typed errors."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from facerec.people.errors import StoreDamaged, StoreError, StoreUnavailable

LOCK_SECONDS = 5
"""How long a transaction waits for the changes of others before it gives up."""

_UNREADABLE_VALUE = (ValueError, TypeError, AttributeError, OverflowError)
"""What reading a column raises whose value is none that this package has written."""


class Database(ABC):
    """A database of one of the kinds that a gallery may be in. Safe to use from several threads at once.

    Args:
        engine: of SQLAlchemy. It begins no transaction itself.
    """

    begin_read: ClassVar[Sequence[str]]
    """Begins a transaction that sees one state of all tables."""
    begin_write: ClassVar[Sequence[str]]
    """Begins a transaction that changes tables. It waits until no other one does, in any process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of all tables.

        Raises:
            StoreError: the database can't be read.
        """
        with self._transaction(self.begin_read, writing=False) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """The only transaction that changes the tables. When the block has ended, the change survives a crash.

        Raises:
            StoreError: the database can't be changed, or others change it for longer than `LOCK_SECONDS`. Nothing was
                changed, unless the connection to a server broke off while the transaction ended.
        """
        self.create()
        with self._transaction(self.begin_write, writing=True) as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: Sequence[str], *, writing: bool) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                for statement in begin:
                    connection.exec_driver_sql(statement)
                yield connection
        except IntegrityError:  # a fault of this package, which checks before it writes
            raise
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            error_type = self.error_type(cause, writing=writing) or StoreUnavailable
            raise error_type(reason=str(cause).partition("\n")[0]) from error
        except _UNREADABLE_VALUE as error:
            raise StoreDamaged(reason=str(error)) from error

    @abstractmethod
    def error_type(self, error: BaseException, *, writing: bool) -> type[StoreError] | None:
        """The typed error for one of the driver. `None` if it may pass when it is tried again."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a database.

        Raises:
            StoreError: it can't be told.
        """

    @abstractmethod
    def create(self) -> None:
        """Create the database, without tables, if there is none.

        Raises:
            StoreError: it can't be created.
        """

    @abstractmethod
    def erase_deleted(self) -> None:
        """Overwrite what deleted rows have left in the database's files, where this can be asked for."""

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
