"""Signatures by Standard Webhooks: HMAC-SHA256 over id, time and body, under one secret or, in a rotation, two."""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """`whsec_` and the base64 of 32 random bytes."""
    return PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(*, event_id: str, timestamp: int, body: bytes, keys: Iterable[str]) -> dict[str, str]:
    """timestamp: of the attempt, Unix seconds. keys: each makes a signature of its own; any of them is enough."""
    signatures = [signature(key, event_id=event_id, timestamp=timestamp, body=body) for key in keys]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def signature(key: str, *, event_id: str, timestamp: int, body: bytes) -> str:
    raw = b64decode(key.removeprefix(PREFIX))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.digest(raw, signed, sha256)).decode()
