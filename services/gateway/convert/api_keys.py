"""API keys: from the stored to the public shape."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import asyncpg

from carillon.accounts.v1 import accounts_pb2 as pb
from services.gateway.convert.values import moment, moment_or_none


def api_key(source: pb.ApiKey) -> dict[str, Any]:
    return {
        "id": source.id,
        "name": source.name,
        "mode": source.mode,
        "scopes": list(source.scopes),
        "rate_limit_per_second": source.rate_limit_per_second if source.HasField("rate_limit_per_second") else None,
        "created_at": moment(source.created_at),
        "expires_at": moment_or_none(source, "expires_at"),
        "last_used_at": moment_or_none(source, "last_used_at"),
        "replaces": source.replaces or None,
    }


def new_api_key(source: pb.NewApiKey) -> dict[str, Any]:
    """The key itself is null where it is shown no more."""
    return {**api_key(source.api_key), "key": source.key or None}


def audit(changes: Iterable[asyncpg.Record], uses: Iterable[asyncpg.Record]) -> dict[str, Any]:
    return {
        "changes": [
            {
                "action": row["action"],
                "actor": row["actor"],
                "request_id": row["request_id"],
                "at": rfc3339(row["made_at"]),
            }
            for row in changes
        ],
        "uses": [
            {"hour": rfc3339(row["hour_at"]), "requests": row["requests"], "refused": row["refused"]} for row in uses
        ],
    }


def rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
