"""How the columns of the schema are said."""

from typing import Any

from sqlalchemy import Column, DateTime, text


def required(name: str, kind: Any, *, default: str | None = None) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=None if default is None else text(default))


def optional(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=True)


def moment(name: str) -> Column[Any]:
    return required(name, DateTime(timezone=True), default="now()")
