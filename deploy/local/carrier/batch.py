"""The batch form of the generic protocol: several messages in one call, and a result for each."""

from typing import Any

import orjson

from deploy.local.carrier.control import Control

MOST = 500


class Malformed(ValueError):
    """The call as a whole cannot be understood."""


def messages(body: bytes) -> list[dict[str, Any]]:
    """Each with its key, whatever else it has. Raises Malformed."""
    try:
        found = orjson.loads(body)["messages"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Malformed("a JSON object with messages is needed") from error
    if not isinstance(found, list) or not 1 <= len(found) <= MOST:
        raise Malformed(f"messages must be a list of 1 to {MOST}")
    if not all(isinstance(one, dict) and isinstance(one.get("key"), str) and one["key"] for one in found):
        raise Malformed("every message needs a key")
    return found


def result(key: str, status: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "status": status, **more}


def failure(key: str, control: Control) -> dict[str, Any]:
    """What the status that the simulator was told to fail with says of one message."""
    if control.error_status == 429:
        return result(key, "throttled", retry_after=control.retry_after)
    return result(key, "unavailable" if control.error_status >= 500 else "refused")
