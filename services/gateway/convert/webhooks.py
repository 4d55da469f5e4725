"""Webhooks and attempts, from their rows to the public shape."""

from datetime import UTC, datetime
from typing import Any

import asyncpg

from chassis.ids import encode
from services.gateway.webhooks.service import ATTEMPT_PREFIX, PREFIX


def webhook(row: asyncpg.Record) -> dict[str, Any]:
    until = row["old_secret_until"]
    return {
        "id": encode(PREFIX, row["id"]),
        "url": row["url"],
        "description": row["description"],
        "event_types": row["event_types"],
        "enabled": row["enabled"],
        "disabled_reason": row["disabled_reason"],
        "old_secret_expires_at": moment(until) if until is not None and until > datetime.now(UTC) else None,
        "version": row["version"],
        "created_at": moment(row["created_at"]),
        "updated_at": moment(row["updated_at"]),
    }


def attempt(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": encode(ATTEMPT_PREFIX, row["id"]),
        "webhook_id": encode(PREFIX, row["webhook_id"]),
        "event_id": str(row["event_id"]),
        "event_type": row["type"],
        "position": row["position"] or None,
        "number": row["number"],
        "outcome": row["outcome"],
        "status": row["status"],
        "error": row["error"],
        "started_at": moment(row["started_at"]),
        "duration_ms": row["duration_ms"],
        "next_attempt_at": None if row["next_at"] is None else moment(row["next_at"]),
    }


def moment(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
