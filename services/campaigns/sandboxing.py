"""Test keys: whatever is sent with one, and every campaign made with one, reaches only the sandbox provider.

The gateway says so with a scope of its own, which no key can be given.
"""

import asyncpg

from chassis.call import Call
from services.campaigns import errors

SCOPE = "sandbox"


def is_sandboxed(call: Call) -> bool:
    """Whether the call was made with a test key."""
    return SCOPE in call.scopes


def check_may_change(call: Call, campaign: asyncpg.Record) -> None:
    """A test key has no part in what reaches people. Raises PermissionDenied."""
    if is_sandboxed(call) and not campaign["is_test"]:
        raise errors.live_campaign()
