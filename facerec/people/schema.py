"""The tables of a gallery, the same in SQLite and PostgreSQL."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

SCHEMA_VERSION = 1
"""Goes up with every change of the tables. Other versions are refused."""

metadata = MetaData()


gallery = Table(
    "gallery",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("embedding_id", Text, nullable=False),
    Column("embedding_size", Integer, nullable=False),
    Column("changes", BigInteger, nullable=False),  # number of changes so far
)
"""One row: what the gallery is bound to, and how often it was changed."""

people = Table(
    "people",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),  # in the form of `canonical_name`
    Column("created", Double, nullable=False),  # Unix time in seconds
    Column("changed", BigInteger, nullable=False, index=True),  # `gallery.changes` at the person's last change
)

samples = Table(
    "samples",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("person_id", Uuid, ForeignKey(people.c.id, ondelete="CASCADE"), nullable=False),
    Column("embedding", LargeBinary, nullable=False),  # float32, little-endian
    Column("quality", Double, nullable=False),
    Column("created", Double, nullable=False),  # Unix time in seconds
    Column("picture_sha256", String(64), nullable=False),
    Column("x", Integer, nullable=False),
    Column("y", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    UniqueConstraint("person_id", "picture_sha256", "x", "y", "size"),  # also the index of a person's samples
)
