"""The schema that the tables are in, and the columns that many of them have."""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    MetaData,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from chassis import tables

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)
tables.add_to(metadata)


def account_column() -> Column[object]:
    return Column("account_id", UUID(), primary_key=True)


def id_column() -> Column[object]:
    return Column("id", UUID(), primary_key=True)


def time_column(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def validity_column(name: str) -> Column[object]:
    return Column(name, Text, nullable=False, server_default="unknown")


def flag_column(name: str, default: str) -> Column[object]:
    return Column(name, Boolean, nullable=False, server_default=text(default))
